/**
 * Every admitted job that has not been rated yet, and the queues of those that wait for a place. A fold of facts
 * without rules: a queue moves only by facts, so a restored owner goes on exactly where the last one stood.
 */
import type { Fact, JobAdmittedRouteStep } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'
import { emptyFairQueue, enqueue, type FairQueue, remove, take } from './fair-queue.ts'

export type RouteStep = JobAdmittedRouteStep
export type Pool = 'local' | 'remote'

export type OpenAttempt = Pick<
  Recorded<'AttemptStarted'>,
  'attemptNo' | 'attemptId' | 'provider' | 'model' | 'keyOwner' | 'keyId' | 'deadlineAt'
> & { pool: Pool; startedAt: EpochMicros }

export type OpenJob = {
  tenantId: string
  jobId: string
  submitted: Recorded<'JobSubmitted'>
  admitted: Recorded<'JobAdmitted'>
  /** `queued`: waits for a place; `running`: an attempt is under way; `ended`: has its end, not yet its rating. */
  phase: 'queued' | 'running' | 'ended'
  /** The fact that made it wait for a place: what its next attempt is caused by. */
  readyBy: string
  attempt: OpenAttempt | null
  /** The last attempt that was started, also when it has ended. */
  lastAttempt: OpenAttempt | null
  isCancelRequested: boolean
}

export type Execution = {
  /** Jobs between submission and answer: empty between batches. */
  submitted: Map<string, Recorded<'JobSubmitted'>>
  jobs: Map<string, OpenJob>
  openByTenant: Map<string, number>
  queues: Record<Pool, FairQueue>
  running: Record<Pool, number>
}

export const emptyExecution = (): Execution => ({
  submitted: new Map(),
  jobs: new Map(),
  openByTenant: new Map(),
  queues: { local: emptyFairQueue(), remote: emptyFairQueue() },
  running: { local: 0, remote: 0 },
})

/** Takes in one fact, in place. */
export function evolveExecution(execution: Execution, fact: Fact): void {
  switch (fact.type) {
    case 'JobSubmitted':
      execution.submitted.set(fact.jobId, fact)
      return
    case 'JobRefused':
      execution.submitted.delete(fact.jobId)
      return
    case 'JobAdmitted':
      return admit(execution, fact)
    case 'AttemptStarted':
      return start(execution, fact)
    case 'AttemptFailed':
      return fail(execution, fact)
    case 'CancelRequested':
      jobOf(execution, fact.jobId).isCancelRequested = true
      return
    case 'JobSucceeded':
    case 'JobFailed':
    case 'JobCancelled':
      return end(execution, fact.jobId)
    case 'JobRated':
      execution.jobs.delete(fact.jobId)
      count(execution, fact.tenantId, -1)
      return
  }
}

/** The step the job's next attempt takes: the route in order, over again when it is used up. */
export function stepFor(job: OpenJob, attemptNo: number): RouteStep {
  const step = job.admitted.route[(attemptNo - 1) % job.admitted.route.length]
  if (!step) throw new Error(`Job ${job.jobId} was admitted without a route.`)
  return step
}

export const attemptsStarted = (job: OpenJob): number => job.lastAttempt?.attemptNo ?? 0
export const poolOf = (job: OpenJob, attemptNo: number): Pool =>
  stepFor(job, attemptNo).pool === 'local' ? 'local' : 'remote'

function jobOf(execution: Execution, jobId: string): OpenJob {
  const job = execution.jobs.get(jobId)
  if (!job) throw new Error(`The log tells of job ${jobId}, which is not open.`)
  return job
}

function admit(execution: Execution, fact: Recorded<'JobAdmitted'>): void {
  const submitted = execution.submitted.get(fact.jobId)
  if (!submitted) throw new Error(`Job ${fact.jobId} was admitted but never submitted.`)
  execution.submitted.delete(fact.jobId)
  const job: OpenJob = {
    tenantId: fact.tenantId,
    jobId: fact.jobId,
    submitted,
    admitted: fact,
    phase: 'queued',
    readyBy: fact.eventId,
    attempt: null,
    lastAttempt: null,
    isCancelRequested: false,
  }
  execution.jobs.set(fact.jobId, job)
  count(execution, fact.tenantId, 1)
  queue(execution, job, fact.occurredAt)
}

function queue(execution: Execution, job: OpenJob, readyAt: EpochMicros): void {
  const { priority, schedulingCost, schedulingWeight } = job.admitted
  enqueue(execution.queues[poolOf(job, attemptsStarted(job) + 1)], {
    tenantId: job.tenantId,
    jobId: job.jobId,
    cost: Number(schedulingCost),
    priority,
    weight: schedulingWeight,
    enqueuedAt: job.admitted.occurredAt,
    readyAt,
  })
}

function start(execution: Execution, fact: Recorded<'AttemptStarted'>): void {
  const job = jobOf(execution, fact.jobId)
  const pool = poolOf(job, fact.attemptNo)
  take(execution.queues[pool], fact.jobId, fact.occurredAt)
  const { attemptNo, attemptId, provider, model, keyOwner, keyId, deadlineAt } = fact
  job.attempt = { attemptNo, attemptId, provider, model, keyOwner, keyId, deadlineAt, pool, startedAt: fact.occurredAt }
  job.lastAttempt = job.attempt
  job.phase = 'running'
  execution.running[pool] += 1
}

function fail(execution: Execution, fact: Recorded<'AttemptFailed'>): void {
  const job = jobOf(execution, fact.jobId)
  leavePlace(execution, job)
  if (fact.retryAt === null) return
  job.phase = 'queued'
  job.readyBy = fact.eventId
  queue(execution, job, fact.retryAt)
}

function end(execution: Execution, jobId: string): void {
  const job = jobOf(execution, jobId)
  if (job.phase === 'queued') remove(execution.queues[poolOf(job, attemptsStarted(job) + 1)], jobId)
  leavePlace(execution, job)
  job.phase = 'ended'
}

function leavePlace(execution: Execution, job: OpenJob): void {
  if (job.attempt) execution.running[job.attempt.pool] -= 1
  job.attempt = null
}

function count(execution: Execution, tenantId: string, change: number): void {
  const open = (execution.openByTenant.get(tenantId) ?? 0) + change
  if (open === 0) execution.openByTenant.delete(tenantId)
  else execution.openByTenant.set(tenantId, open)
}
