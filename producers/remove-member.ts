/** Asks that a member no longer act for its tenant. */
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/** Its tokens end with it. One of whom the tenant knows nothing is refused with `member_unknown`. */
export const removeMember = (
  appender: RequestAppender,
  caller: Caller,
  member: { tenantId: string; memberId: string },
): Promise<Appended> => appender.append(caller, { type: 'RemoveMember', ...member })
