/** Asks that a member of a tenant be known, or be of another kind. */
import type { AddMemberBody } from '../schemas/events.generated.ts'
import type { Appended, Caller, RequestAppender } from './append-request.ts'

export type MemberRequest = { tenantId: string } & Omit<AddMemberBody, 'type'>

/** Adding a member that is there is answered again. */
export const addMember = (appender: RequestAppender, caller: Caller, member: MemberRequest): Promise<Appended> =>
  appender.append(caller, { type: 'AddMember', ...member })
