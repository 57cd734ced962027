/** What handlers work with. Everything comes from the composition in `bin/`; nothing here reaches for the world. */
import type { Provider } from '../capabilities/index.ts'
import type { Clock, Random } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import type { Relay } from '../platform/relay/relay.ts'
import type { TokenUse } from '../platform/token-use/token-use.ts'
import type { PayloadVault } from '../platform/vault/vault.ts'
import type { JobSubmitter, RequestAppender } from '../producers/index.ts'
import type { CapSetCapPeriod } from '../schemas/events.generated.ts'
import type { EpochMicros } from '../schemas/units.ts'
import type { Views } from './views.ts'

/** The calendar that admission goes by, so that what the API shows and accepts is what admission does. */
export type Calendar = {
  periodAt(
    rule: { period: CapSetCapPeriod; anchorDate: string | null },
    timeZone: string,
    at: EpochMicros,
    countsFrom: EpochMicros,
  ): { start: EpochMicros; end: EpochMicros | null }
  isTimeZone(text: string): boolean
  isAnchorDate(text: string): boolean
}

/** What the process can do without, though not as well. */
export const optionalParts = ['redis', 'registry'] as const

/** Whether every role of the process does its work, and if not, which do not; and which optional parts are away. */
export type Readiness = {
  isReady: boolean
  waitingFor: readonly string[]
  degraded: readonly (typeof optionalParts)[number][]
  /** Facts that owners which begin have still to read. */
  restoringFacts?: number
}

export type Parts = {
  database: Database
  vault: PayloadVault
  relay: Relay
  clock: Clock
  random: Random
  appender: RequestAppender
  submitter: JobSubmitter
  views: Views
  tokenUse: Pick<TokenUse, 'used' | 'lastUsed'>
  providers: readonly Provider[]
  calendar: Calendar
  readiness(): Readiness
  /** Prometheus text. */
  metricsText(): Promise<string>
  /** Days that content of a tenant is kept which has not said how long. */
  contentDaysDefault: number
  /** What quotes and cursors are signed with: 32 bytes each, the same at every door. */
  quoteKey: Uint8Array
  cursorKey: Uint8Array
  /** How long a request that changes what is allowed waits for its answer, in milliseconds. */
  answerWaitMs: number
}
