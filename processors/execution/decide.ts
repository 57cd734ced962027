/**
 * The rules of execution: who starts next, what an outcome leads to, when a job is given up. Pure: the moment, the
 * outcome and the fraction of jitter come in as parameters.
 */
import type { CallFailureCode, TokenBuckets, UsageReport } from '../../capabilities/capability.ts'
import { attemptIdFrom } from '../../schemas/ids.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Draft, Moment, Requested } from '../processor.ts'
import { next } from './fair-queue.ts'
import { attemptsStarted, type Execution, type OpenAttempt, type OpenJob, type Pool, stepFor } from './state.ts'

export type ExecutionLimits = {
  /** Places per partition and pool; at least 1. */
  places: Record<Pool, number>
  /** Longest call, in milliseconds. */
  attemptMsMax: number
  /** Before the first repetition a job waits up to this long, before each later one up to twice as long as before. */
  retryBaseMs: number
  /** Longest wait before a repetition. */
  retryMsMax: number
}

/** How a call ended, with what has to be kept of it already in the vault. */
export type Outcome = { jobId: string; attemptId: string; durationMs: number } & (
  | { ok: true; result: { ref: string; bytes: number; mac: string }; usage: UsageReport }
  | {
      ok: false
      code: CallFailureCode | 'OUTCOME_UNKNOWN'
      canRetry: boolean
      retryAfterMs: number
      usage: UsageReport | null
    }
)

/**
 * The job that gets the next free place of the pool, and the fact that it starts; or its end, when its deadline has come
 * before its place. Either way it waits no more, so that the next one can be asked for. Undefined when nobody can start.
 */
export function decideStart(
  execution: Execution,
  pool: Pool,
  limits: ExecutionLimits,
  { now }: Moment,
): (Decided & { job: OpenJob }) | undefined {
  if (execution.running[pool] >= limits.places[pool]) return undefined
  const entry = next(execution.queues[pool], now)
  const job = entry && execution.jobs.get(entry.jobId)
  if (!job) return undefined
  const late = decideDeadline(job, { now })
  return { job, ...(late.ending ? late : { facts: [attemptStarted(job, limits, now)] }) }
}

function attemptStarted(job: OpenJob, limits: ExecutionLimits, now: EpochMicros): Draft & { type: 'AttemptStarted' } {
  const attemptNo = attemptsStarted(job) + 1
  const { provider, model, keyOwner, keyId } = stepFor(job, attemptNo)
  const { tenantId, jobId } = job
  const attemptId = attemptIdFrom(tenantId, jobId, attemptNo)
  const deadlineAt = smaller(now + BigInt(limits.attemptMsMax) * 1_000n, job.admitted.deadlineAt)
  return { type: 'AttemptStarted', tenantId, jobId, attemptNo, attemptId, provider, model, keyOwner, keyId, deadlineAt }
}

/** How a job ends, and what its rating has to know. */
export type Ending = {
  end: Draft & { type: 'JobSucceeded' | 'JobFailed' | 'JobCancelled' }
  usage: UsageReport | null
  durationMs: number
}
/** Facts of the attempt itself, then perhaps the job's end. */
export type Decided = { facts: Draft[]; ending?: Ending }

/** An outcome of a job that has ended, or of an attempt that is not under way, was decided before: nothing follows. */
export function decideOutcome(
  execution: Execution,
  outcome: Outcome,
  limits: ExecutionLimits,
  moment: Moment & { jitter: number },
): Decided {
  const job = execution.jobs.get(outcome.jobId)
  if (!job?.attempt || job.attempt.attemptId !== outcome.attemptId) return { facts: [] }
  return outcome.ok ? succeeded(job, job.attempt, outcome) : failed(job, job.attempt, outcome, limits, moment)
}

/** The owner restored a job whose call was under way when the last owner died: nobody knows how it ended. */
export function decideIndeterminate(
  execution: Execution,
  job: OpenJob,
  canRepeat: boolean,
  limits: ExecutionLimits,
  moment: Moment & { jitter: number },
): Decided {
  if (!job.attempt) return { facts: [] }
  return decideOutcome(
    execution,
    {
      jobId: job.jobId,
      attemptId: job.attempt.attemptId,
      durationMs: 0,
      ok: false,
      code: 'OUTCOME_UNKNOWN',
      canRetry: canRepeat,
      retryAfterMs: 0,
      usage: null,
    },
    limits,
    moment,
  )
}

/** A job that waits is given up at once; one whose call is under way when the call has been aborted. */
export function decideCancel(execution: Execution, request: Requested<'RequestCancel'>): Decided {
  const job = execution.jobs.get(request.jobId)
  if (!job || job.tenantId !== request.tenantId || job.phase === 'ended' || job.isCancelRequested) return { facts: [] }
  if (job.attempt) return { facts: [{ type: 'CancelRequested', tenantId: job.tenantId, jobId: job.jobId }] }
  return { facts: [], ending: { end: cancelled(job), usage: null, durationMs: 0 } }
}

/** A job that waits past its deadline is given up; a running one ends when its call, which has the same deadline, does. */
export function decideDeadline(job: OpenJob, { now }: Moment): Decided {
  if (job.phase !== 'queued' || now < job.admitted.deadlineAt) return { facts: [] }
  return { facts: [], ending: { end: gaveUp(job, 'DEADLINE_PASSED'), usage: null, durationMs: 0 } }
}

function succeeded(job: OpenJob, attempt: OpenAttempt, outcome: Outcome & { ok: true }): Decided {
  const { usage, durationMs, result } = outcome
  if (job.isCancelRequested) return { facts: [], ending: { end: cancelled(job), usage, durationMs } }
  const { attemptNo, attemptId, provider, model } = attempt
  const end: Draft & { type: 'JobSucceeded' } = {
    type: 'JobSucceeded',
    tenantId: job.tenantId,
    jobId: job.jobId,
    attemptNo,
    attemptId,
    provider,
    model,
    resultRef: result.ref,
    resultBytes: BigInt(result.bytes),
    resultMac: result.mac,
    durationMs: BigInt(durationMs),
  }
  return { facts: [], ending: { end, usage, durationMs } }
}

function failed(
  job: OpenJob,
  attempt: OpenAttempt,
  outcome: Outcome & { ok: false },
  limits: ExecutionLimits,
  moment: Moment & { jitter: number },
): Decided {
  const { usage, durationMs } = outcome
  const retryAt = retryTime(job, attempt, outcome, limits, moment)
  const facts: Draft[] = [
    {
      type: 'AttemptFailed',
      tenantId: job.tenantId,
      jobId: job.jobId,
      attemptNo: attempt.attemptNo,
      attemptId: attempt.attemptId,
      provider: attempt.provider,
      code: outcome.code,
      indeterminate: outcome.code === 'OUTCOME_UNKNOWN',
      retryAt,
      durationMs: BigInt(durationMs),
      usage: usage === null ? null : bucketsOf(usage),
    },
  ]
  if (retryAt !== null) return { facts }
  if (job.isCancelRequested) return { facts, ending: { end: cancelled(job), usage, durationMs } }
  const isPastDeadline = moment.now >= job.admitted.deadlineAt
  return { facts, ending: { end: gaveUp(job, isPastDeadline ? 'DEADLINE_PASSED' : outcome.code), usage, durationMs } }
}

/**
 * Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015): a uniform
 * fraction of base × 2^(n−1), at most the maximum, never less than the provider asked for. Null: no further attempt.
 */
function retryTime(
  job: OpenJob,
  attempt: OpenAttempt,
  outcome: Outcome & { ok: false },
  limits: ExecutionLimits,
  { now, jitter }: Moment & { jitter: number },
): EpochMicros | null {
  if (!outcome.canRetry || job.isCancelRequested || attempt.attemptNo >= job.admitted.attemptsMax) return null
  const ceilingMs = Math.min(limits.retryMsMax, limits.retryBaseMs * 2 ** Math.min(attempt.attemptNo - 1, 30))
  const waitMs = Math.max(1, Math.floor(jitter * ceilingMs), outcome.retryAfterMs)
  const retryAt = now + BigInt(Math.ceil(waitMs)) * 1_000n
  return retryAt < job.admitted.deadlineAt ? retryAt : null
}

const cancelled = (job: OpenJob): Draft & { type: 'JobCancelled' } => ({
  type: 'JobCancelled',
  tenantId: job.tenantId,
  jobId: job.jobId,
  attempts: attemptsStarted(job),
})

const gaveUp = (job: OpenJob, code: string): Draft & { type: 'JobFailed' } => ({
  type: 'JobFailed',
  tenantId: job.tenantId,
  jobId: job.jobId,
  code,
  attempts: attemptsStarted(job),
})

const bucketsOf = (usage: UsageReport): TokenBuckets => ({
  inputUncachedTokens: usage.inputUncachedTokens,
  inputCacheReadTokens: usage.inputCacheReadTokens,
  inputCacheWriteTokens: usage.inputCacheWriteTokens,
  outputTokens: usage.outputTokens,
  reasoningTokens: usage.reasoningTokens,
})

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b)
