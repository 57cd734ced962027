/** Asks that inputs and results of a tenant be kept for another number of days. */
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/** `contentDays`: 7 to 90; others are refused with `days_invalid`. */
export const setRetention = (
  appender: RequestAppender,
  caller: Caller,
  retention: { tenantId: string; contentDays: number },
): Promise<Appended> => appender.append(caller, { type: 'SetRetention', ...retention })
