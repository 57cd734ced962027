/** What the owner and its processors say to each other. */
import type { Fact, FactBody, Request } from '../schemas/events.generated.ts'
import type { EpochMicros } from '../schemas/units.ts'

/** A fact a processor decided on, before the owner stamps it with seq, time and ids. `tenantId` says whose it is. */
export type Draft = { tenantId: string } & FactBody

/** What a decision may look at besides state: when, and at which intake position. */
export type Moment = { now: EpochMicros; intakeOffset: bigint | null }

export type Recorded<Type extends Fact['type']> = Extract<Fact, { type: Type }>
export type Requested<Type extends Request['type']> = Extract<Request, { type: Type }>
