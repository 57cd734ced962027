/** Asks the platform to publish a price book. */
import { platformTenantId } from '../schemas/streams.ts'
import type { Appended, Caller, RequestAppender } from './append-request.ts'

/**
 * `book` is the canonical JSON that `hash` is of. A book is one record of the log, so one larger than that is refused
 * with LOG_RECORD_TOO_LARGE. Publishing a published book changes nothing.
 */
export const publishPrices = (
  appender: RequestAppender,
  caller: Caller,
  prices: { hash: string; book: string },
): Promise<Appended> => appender.append(caller, { type: 'PublishPrices', tenantId: platformTenantId, ...prices })
