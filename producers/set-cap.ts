/** Asks for a cap of a tenant, or for another limit of one. */
import type { SetCapBody } from '../schemas/events.generated.ts'
import type { Appended, Caller, RequestAppender } from './append-request.ts'

export type CapRequest = { tenantId: string } & Omit<SetCapBody, 'type'>

/** In force for every job whose request comes after it in the log. The same cap set twice is set once. */
export const setCap = (appender: RequestAppender, caller: Caller, cap: CapRequest): Promise<Appended> =>
  appender.append(caller, { type: 'SetCap', ...cap })
