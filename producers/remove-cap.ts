/** Asks that a cap of a tenant be removed. */
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/** Removing a cap that is not there is refused with `cap_unknown`. */
export const removeCap = (
  appender: RequestAppender,
  caller: Caller,
  cap: { tenantId: string; capId: string },
): Promise<Appended> => appender.append(caller, { type: 'RemoveCap', ...cap })
