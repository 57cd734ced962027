/** What the verifier knows of one job while it walks its events. */
import type {
  AttemptFailed,
  AttemptStarted,
  Event,
  Header,
  HoldExceeded,
  JobAdmitted,
  JobSubmitted,
  Outcome,
  UsageMetered,
} from './events.ts'
import type { OpenHold } from './own-caps.ts'
import type { Charge } from './own-price.ts'

export type Job = {
  tenantId: string
  submitted: JobSubmitted & Header
  /** The job before it that was made for the same idempotency key: there is one only where a door has lost what it knew. */
  sameKeyBefore: (JobSubmitted & Header) | undefined
  isRefused: boolean
  admitted?: JobAdmitted & Header
  holds: Map<string, OpenHold>
  attempts: AttemptStarted[]
  openAttempt?: AttemptStarted | undefined
  lastFailed?: AttemptFailed | undefined
  end?: { outcome: Outcome; attempts: number }
  usage?: UsageMetered & Header
  exceeded: HoldExceeded[]
  isRated: boolean
  charge?: Charge | undefined
}

export type JobEvent = Extract<Event, { jobId: string }>
