/** Asks that an act of a platform admin in a tenant be on record, with its justification. */
import type { RecordAdminActBody } from '../schemas/events.generated.ts'
import type { Appended, Caller, RequestAppender } from './append-request.ts'

export type AdminAct = { tenantId: string } & Omit<RecordAdminActBody, 'type'>

/** The act may happen once the owner's fact is readable; asked again, it is on record twice. */
export const recordAdminAct = (appender: RequestAppender, caller: Caller, act: AdminAct): Promise<Appended> =>
  appender.append(caller, { type: 'RecordAdminAct', ...act })
