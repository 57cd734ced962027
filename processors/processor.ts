/** What the owner and its processors say to each other. */
import type { Fact, FactBody, Request } from '../schemas/events.generated.ts'
import type { EpochMicros } from '../schemas/units.ts'

/**
 * A fact a processor decided on, before the owner stamps it with seq, time and ids. `tenantId` says whose it is;
 * `eventId` is given where another draft must name it, otherwise the owner derives it from the cause.
 */
export type Draft = { tenantId: string; eventId?: string } & FactBody

export type Recorded<Type extends Fact['type']> = Extract<Fact, { type: Type }>
export type Requested<Type extends Request['type']> = Extract<Request, { type: Type }>

/** When a decision is made. Strictly later than every decision of the partition before it. */
export type Moment = { now: EpochMicros }
