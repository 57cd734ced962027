/** Walks one partition's events in their one order and holds each of them against the verifier's own replay. */
import { AdmissionCheck } from './admission.ts'
import type {
  AttemptFailed,
  AttemptStarted,
  Event,
  Header,
  JobAdmitted,
  JobRefused,
  JobSubmitted,
  JobSucceeded,
  Outcome,
  RouteStep,
} from './events.ts'
import { type Findings, PartitionReport } from './findings.ts'
import type { Job, JobEvent } from './job.ts'
import type { OwnDirectory } from './own-directory.ts'
import { RatingCheck } from './rating.ts'

export type TenantTally = {
  jobs: Record<'submitted' | 'admitted' | 'refused' | 'succeeded' | 'failed' | 'cancelled' | 'open', number>
  refusals: Map<string, number>
  /** By currency: `chargedPico` is the verifier's own sum, `recordedPico` that of the rated facts. */
  ledger: Map<string, { jobs: number; chargedPico: bigint; recordedPico: bigint }>
}

const jobsMax = 5_000_000

/** The last 18 of the 27 characters of a job's id, the first 18 of an older one's 26: the hash of its idempotency key. */
const keyOf = (jobId: string): string =>
  /^job_(?:[0-9a-z]{9}(?=[0-9a-z]{18}$))?([0-9a-z]{18})/.exec(jobId)?.[1] ?? jobId

export class PartitionCheck {
  readonly tallies = new Map<string, TenantTally>()
  events = 0
  readonly #report: PartitionReport
  readonly #admission: AdmissionCheck
  readonly #rating: RatingCheck
  readonly #jobs = new Map<string, Job>()
  /** The newest job of each idempotency key. */
  readonly #jobOfKey = new Map<string, Job>()
  readonly #eventIds = new Set<string>()
  #seq = 0n
  #occurredAt = 0n

  constructor(partition: number, directory: OwnDirectory, findings: Findings) {
    this.#report = new PartitionReport(partition, findings)
    this.#admission = new AdmissionCheck(directory, this.#report)
    this.#rating = new RatingCheck(directory, this.#report)
  }

  get tenantIds(): Iterable<string> {
    return this.tallies.keys()
  }

  take(event: Event): void {
    this.events++
    this.#checkOrder(event)
    if (event.type === 'CapSet' || event.type === 'CapRemoved') return this.#admission.takeCap(event)
    if (!('jobId' in event)) return
    if (event.type === 'JobSubmitted') return this.#takeSubmitted(event)
    const job = this.#jobs.get(event.jobId)
    if (!job) return this.#report.complain('end', event, `${event.type} of a job that was never submitted`)
    if (job.tenantId !== event.tenantId) this.#report.complain('end', event, `${event.type} of another tenant's job`)
    this.#takeJobEvent(job, event)
  }

  /** Call after the last event. `openAllowed`: the export was taken while jobs were under way. */
  finish(openAllowed: boolean): void {
    let openJobs = 0
    for (const job of this.#jobs.values()) openJobs += this.#finishJob(job, openAllowed)
    if (openJobs > 0 && openAllowed) return
    this.#admission.finish()
  }

  #finishJob(job: Job, openAllowed: boolean): 0 | 1 {
    const { submitted, end, admitted } = job
    const tally = this.#tally(job.tenantId)
    if (job.isRefused) return 0
    if (!admitted) {
      this.#report.complain('admission', submitted, 'the job was neither admitted nor refused')
      return 0
    }
    if (!end) {
      tally.jobs.open++
      if (!openAllowed) this.#report.complain('end', submitted, 'the job was admitted but never ended')
      return 1
    }
    tally.jobs[end.outcome]++
    if (!job.isRated) this.#report.complain('rating', submitted, `the job ended as ${end.outcome} but was never rated`)
    if (!job.isRated) this.#rating.takeOwnCharge(job)
    const ledger = this.#ledger(job.tenantId, admitted.currency)
    ledger.jobs++
    ledger.chargedPico += job.charge?.chargedPico ?? 0n
    return 0
  }

  #checkOrder(event: Event): void {
    if (event.seq !== this.#seq + 1n) this.#report.complain('order', event, `seq ${event.seq} follows ${this.#seq}`)
    if (event.occurredAt < this.#occurredAt) this.#report.complain('order', event, 'occurredAt goes back')
    if (this.#eventIds.has(event.eventId))
      this.#report.complain('order', event, `event id ${event.eventId} comes twice`)
    this.#eventIds.add(event.eventId)
    this.#seq = event.seq
    this.#occurredAt = event.occurredAt
  }

  #takeSubmitted(event: JobSubmitted & Header): void {
    if (this.#jobs.size >= jobsMax) throw new Error(`More than ${jobsMax} jobs in one partition`)
    if (this.#jobs.has(event.jobId)) return this.#report.complain('admission', event, 'the job was submitted before')
    const { tenantId } = event
    const key = `${tenantId} ${keyOf(event.jobId)}`
    const job: Job = {
      tenantId,
      submitted: event,
      sameKeyBefore: this.#jobOfKey.get(key)?.submitted,
      isRefused: false,
      holds: new Map(),
      attempts: [],
      exceeded: [],
      isRated: false,
    }
    this.#jobs.set(event.jobId, job)
    this.#jobOfKey.set(key, job)
    this.#tally(tenantId).jobs.submitted++
  }

  #takeJobEvent(job: Job, event: JobEvent): void {
    if (event.type === 'JobAdmitted' || event.type === 'JobRefused') return this.#takeAnswer(job, event)
    if (!job.admitted) return this.#report.complain('end', event, `${event.type} of a job that was not admitted`)
    if (event.type === 'JobRated') {
      this.#ledger(event.tenantId, event.currency).recordedPico += event.chargedPico
      return this.#rating.takeRated(job, job.admitted, event)
    }
    if (job.isRated) return this.#report.complain('end', event, `${event.type} after the job was rated`)
    if (event.type === 'UsageMetered') return this.#rating.takeUsage(job, job.admitted, event)
    if (event.type === 'HoldExceeded') {
      job.exceeded.push(event)
      return
    }
    if (job.end) return this.#report.complain('end', event, `${event.type} after the job's end`)
    switch (event.type) {
      case 'AttemptStarted':
        return this.#takeStarted(job, job.admitted, event)
      case 'AttemptFailed':
        return this.#takeFailed(job, event)
      case 'JobSucceeded':
        return this.#takeSucceeded(job, event)
      case 'JobFailed':
        if (job.openAttempt) this.#report.complain('end', event, 'the job failed while its attempt was under way')
        return this.#takeEnd(job, event, 'failed', event.attempts)
      case 'JobCancelled':
        return this.#takeEnd(job, event, 'cancelled', event.attempts)
    }
  }

  #takeAnswer(job: Job, event: Header & (JobAdmitted | JobRefused)): void {
    if (job.admitted || job.isRefused) return this.#report.complain('admission', event, 'the job was answered before')
    this.#report.equal('admission', event, 'memberId', event.memberId, job.submitted.memberId)
    this.#report.equal('admission', event, 'capability', event.capability, job.submitted.capability)
    const tally = this.#tally(event.tenantId)
    if (event.type === 'JobAdmitted') {
      tally.jobs.admitted++
      this.#admission.admit(job, event)
    } else {
      tally.jobs.refused++
      tally.refusals.set(event.reason, (tally.refusals.get(event.reason) ?? 0) + 1)
      job.isRefused = true
      this.#admission.checkRefusal(job, event)
    }
  }

  #takeStarted(job: Job, admitted: JobAdmitted, event: AttemptStarted & Header): void {
    this.#report.equal('attempt', event, 'attemptNo', event.attemptNo, job.attempts.length + 1)
    if (job.openAttempt) this.#report.complain('attempt', event, 'the attempt before is still under way')
    if (event.attemptNo > admitted.attemptsMax)
      this.#report.complain('attempt', event, `more than ${admitted.attemptsMax} attempts`)
    if (!admitted.route.some((step) => isSameStep(step, event)))
      this.#report.complain('attempt', event, 'is no step of the route')
    if (job.attempts.some(({ attemptId }) => attemptId === event.attemptId))
      this.#report.complain('attempt', event, 'its id was used before')
    const retryAt = job.lastFailed?.retryAt
    if (retryAt === null) this.#report.complain('attempt', event, 'the failure before was said to be the last')
    if (retryAt && event.occurredAt < retryAt) this.#report.complain('attempt', event, 'starts before its time')
    job.attempts.push(event)
    job.openAttempt = event
    job.lastFailed = undefined
  }

  #takeFailed(job: Job, event: AttemptFailed & Header): void {
    this.#checkOutcome(job, event)
    job.openAttempt = undefined
    job.lastFailed = event
  }

  #takeSucceeded(job: Job, event: JobSucceeded & Header): void {
    this.#checkOutcome(job, event)
    this.#report.equal('attempt', event, 'model', event.model, job.attempts.at(-1)?.model)
    this.#takeEnd(job, event, 'succeeded', event.attemptNo)
  }

  #checkOutcome(job: Job, event: Header & (AttemptFailed | JobSucceeded)): void {
    const started = job.openAttempt
    if (!started) return this.#report.complain('attempt', event, `${event.type} without an attempt under way`)
    this.#report.equal('attempt', event, 'attemptNo', event.attemptNo, started.attemptNo)
    this.#report.equal('attempt', event, 'attemptId', event.attemptId, started.attemptId)
    this.#report.equal('attempt', event, 'provider', event.provider, started.provider)
  }

  #takeEnd(job: Job, event: JobEvent, outcome: Outcome, attempts: number): void {
    this.#report.equal('end', event, 'attempts', attempts, job.attempts.length)
    job.end = { outcome, attempts: job.attempts.length }
  }

  #tally(tenantId: string): TenantTally {
    const known = this.tallies.get(tenantId)
    if (known) return known
    const jobs = { submitted: 0, admitted: 0, refused: 0, succeeded: 0, failed: 0, cancelled: 0, open: 0 }
    const made: TenantTally = { jobs, refusals: new Map(), ledger: new Map() }
    this.tallies.set(tenantId, made)
    return made
  }

  #ledger(tenantId: string, currency: string) {
    const { ledger } = this.#tally(tenantId)
    const known = ledger.get(currency)
    if (known) return known
    const made = { jobs: 0, chargedPico: 0n, recordedPico: 0n }
    ledger.set(currency, made)
    return made
  }
}

const isSameStep = (a: RouteStep, b: RouteStep): boolean =>
  a.provider === b.provider && a.model === b.model && a.keyOwner === b.keyOwner && a.keyId === b.keyId
