/** Asks that a job be given up. */
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/** A job that has ended, or is being given up already, stays as it is: then no fact answers this request. */
export const requestCancel = (
  appender: RequestAppender,
  caller: Caller,
  job: { tenantId: string; jobId: string },
): Promise<Appended> => appender.append(caller, { type: 'RequestCancel', ...job })
