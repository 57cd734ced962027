/** Walks one partition's events in their one order and holds each of them against the verifier's own replay. */
import type {
  AttemptFailed,
  AttemptStarted,
  Buckets,
  CapHold,
  Event,
  Header,
  HoldExceeded,
  JobAdmitted,
  JobRated,
  JobRefused,
  JobSubmitted,
  JobSucceeded,
  Line,
  Metric,
  Outcome,
  RouteStep,
  Settlement,
  UsageMetered,
} from './events.ts'
import type { Check, Findings } from './findings.ts'
import { localMonth, periodFault } from './own-calendar.ts'
import { type CapInForce, type OpenHold, OwnCaps, standingOf } from './own-caps.ts'
import type { OwnDirectory } from './own-directory.ts'
import { type Book, type Charge, chargeOf, mostOf, mostsOfAnyRoute } from './own-price.ts'

export type TenantTally = {
  jobs: Record<'submitted' | 'admitted' | 'refused' | 'succeeded' | 'failed' | 'cancelled' | 'open', number>
  refusals: Map<string, number>
  /** By currency: `chargedPico` is the verifier's own sum, `recordedPico` that of the rated facts. */
  ledger: Map<string, { jobs: number; chargedPico: bigint; recordedPico: bigint }>
}

type Job = {
  tenantId: string
  submitted: JobSubmitted & Header
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

type JobEvent = Extract<Event, { jobId: string }>

const jobsMax = 5_000_000
const zero: Buckets = {
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

export class PartitionCheck {
  readonly tallies = new Map<string, TenantTally>()
  events = 0
  readonly #partition: number
  readonly #directory: OwnDirectory
  readonly #findings: Findings
  readonly #jobs = new Map<string, Job>()
  readonly #caps = new Map<string, OwnCaps>()
  readonly #eventIds = new Set<string>()
  readonly #lineIds = new Set<string>()
  readonly #periodFaults = new Map<string, string | undefined>()
  #seq = 0n
  #occurredAt = 0n

  constructor(partition: number, directory: OwnDirectory, findings: Findings) {
    this.#partition = partition
    this.#directory = directory
    this.#findings = findings
  }

  get tenantIds(): Iterable<string> {
    return this.tallies.keys()
  }

  take(event: Event): void {
    this.events++
    this.#checkOrder(event)
    if (event.type === 'CapSet' || event.type === 'CapRemoved') return this.#takeCap(event)
    if (!('jobId' in event)) return
    if (event.type === 'JobSubmitted') return this.#takeSubmitted(event)
    const job = this.#jobs.get(event.jobId)
    if (!job) return this.#complain('end', event, `${event.type} of a job that was never submitted`)
    if (job.tenantId !== event.tenantId) this.#complain('end', event, `${event.type} of another tenant's job`)
    this.#takeJobEvent(job, event)
  }

  /** Call after the last event. `openAllowed`: the export was taken while jobs were under way. */
  finish(openAllowed: boolean): void {
    let openJobs = 0
    for (const job of this.#jobs.values()) openJobs += this.#finishJob(job, openAllowed)
    if (openJobs > 0 && openAllowed) return
    for (const [tenantId, caps] of this.#caps) {
      for (const { capId, start, standing } of caps.standings()) {
        if (standing.held === 0n) continue
        const says = `cap ${capId} still holds ${standing.held} in the period from ${start}`
        this.#findings.add({ check: 'hold', partition: this.#partition, tenantId, says })
      }
    }
  }

  #finishJob(job: Job, openAllowed: boolean): 0 | 1 {
    const { submitted, end, admitted } = job
    const tally = this.#tally(job.tenantId)
    if (job.isRefused) return 0
    if (!admitted) {
      this.#complain('admission', submitted, 'the job was neither admitted nor refused')
      return 0
    }
    if (!end) {
      tally.jobs.open++
      if (!openAllowed) this.#complain('end', submitted, 'the job was admitted but never ended')
      return 1
    }
    tally.jobs[end.outcome]++
    if (!job.isRated) this.#complain('rating', submitted, `the job ended as ${end.outcome} but was never rated`)
    if (!job.isRated) this.#takeOwnCharge(job)
    const ledger = this.#ledger(job.tenantId, admitted.currency)
    ledger.jobs++
    ledger.chargedPico += job.charge?.chargedPico ?? 0n
    return 0
  }

  #checkOrder(event: Event): void {
    if (event.seq !== this.#seq + 1n) this.#complain('order', event, `seq ${event.seq} follows ${this.#seq}`)
    if (event.occurredAt < this.#occurredAt) this.#complain('order', event, 'occurredAt goes back')
    if (this.#eventIds.has(event.eventId)) this.#complain('order', event, `event id ${event.eventId} comes twice`)
    this.#eventIds.add(event.eventId)
    this.#seq = event.seq
    this.#occurredAt = event.occurredAt
  }

  #takeCap(event: Extract<Event, { type: 'CapSet' | 'CapRemoved' }>): void {
    const caps = this.#capsOf(event.tenantId)
    const faults = event.type === 'CapSet' ? caps.set(event) : caps.remove(event)
    for (const fault of faults) this.#complain('cap', event, `${event.type} ${event.capId}: ${fault}`)
  }

  #takeSubmitted(event: JobSubmitted & Header): void {
    if (this.#jobs.size >= jobsMax) throw new Error(`More than ${jobsMax} jobs in one partition`)
    if (this.#jobs.has(event.jobId)) return this.#complain('admission', event, 'the job was submitted before')
    const { tenantId } = event
    const job: Job = {
      tenantId,
      submitted: event,
      isRefused: false,
      holds: new Map(),
      attempts: [],
      exceeded: [],
      isRated: false,
    }
    this.#jobs.set(event.jobId, job)
    this.#tally(tenantId).jobs.submitted++
  }

  #takeJobEvent(job: Job, event: JobEvent): void {
    if (event.type === 'JobAdmitted' || event.type === 'JobRefused') return this.#takeAnswer(job, event)
    if (!job.admitted) return this.#complain('end', event, `${event.type} of a job that was not admitted`)
    if (event.type === 'JobRated') return this.#takeRated(job, job.admitted, event)
    if (job.isRated) return this.#complain('end', event, `${event.type} after the job was rated`)
    if (event.type === 'UsageMetered') return this.#takeUsage(job, job.admitted, event)
    if (event.type === 'HoldExceeded') {
      job.exceeded.push(event)
      return
    }
    if (job.end) return this.#complain('end', event, `${event.type} after the job's end`)
    switch (event.type) {
      case 'AttemptStarted':
        return this.#takeStarted(job, job.admitted, event)
      case 'AttemptFailed':
        return this.#takeFailed(job, event)
      case 'JobSucceeded':
        return this.#takeSucceeded(job, event)
      case 'JobFailed':
        if (job.openAttempt) this.#complain('end', event, 'the job failed while its attempt was under way')
        return this.#takeEnd(job, event, 'failed', event.attempts)
      case 'JobCancelled':
        return this.#takeEnd(job, event, 'cancelled', event.attempts)
    }
  }

  #takeAnswer(job: Job, event: Header & (JobAdmitted | JobRefused)): void {
    if (job.admitted || job.isRefused) return this.#complain('admission', event, 'the job was answered before')
    this.#equal('admission', event, 'memberId', event.memberId, job.submitted.memberId)
    this.#equal('admission', event, 'capability', event.capability, job.submitted.capability)
    const tally = this.#tally(event.tenantId)
    if (event.type === 'JobAdmitted') {
      tally.jobs.admitted++
      this.#admit(job, event)
    } else {
      tally.jobs.refused++
      tally.refusals.set(event.reason, (tally.refusals.get(event.reason) ?? 0) + 1)
      job.isRefused = true
      this.#checkRefusal(job.submitted, event)
    }
  }

  #admit(job: Job, event: JobAdmitted & Header): void {
    job.admitted = event
    const { inputTokensMax, outputTokensMax, maxCharge } = job.submitted
    const tenant = this.#directory.tenants.get(event.tenantId)
    if (!tenant) this.#complain('admission', event, 'the tenant is not registered')
    this.#equal('admission', event, 'currency', event.currency, tenant?.currency)
    this.#equal('admission', event, 'timeZone', event.timeZone, tenant?.timeZone)
    const month = localMonth(event.timeZone, event.occurredAt)
    this.#equal('admission', event, 'billingPeriod', event.billingPeriod, month)
    const inForce = this.#directory.inForce(event.currency, event.occurredAt, event.directoryVersion)
    this.#equal('admission', event, 'priceBookHash', event.priceBookHash, inForce)
    this.#equal('admission', event, 'requestsHeld', event.requestsHeld, 1n)
    this.#equal('admission', event, 'tokensHeld', event.tokensHeld, inputTokensMax + outputTokensMax)
    const book = this.#directory.book(event.priceBookHash)
    const steps = event.route.map((step) => ({ ...step, capability: event.capability }))
    const most = book && mostOf(book, steps, inputTokensMax, outputTokensMax)
    this.#equal('admission', event, 'heldPico', event.heldPico, most)
    this.#equal('admission', event, 'maxCharge', event.maxCharge, maxCharge)
    if (maxCharge !== null && event.heldPico > maxCharge)
      this.#complain('admission', event, 'more is held than the caller accepts')
    this.#takeHolds(job, event, {
      requests: 1n,
      tokens: inputTokensMax + outputTokensMax,
      money: most ?? event.heldPico,
    })
  }

  #takeHolds(job: Job, event: JobAdmitted & Header, needed: Record<Metric, bigint>): void {
    const own = this.#capsOf(event.tenantId).applicable(event.memberId, event.capability)
    const names = (ids: readonly { capId: string }[]) => ids.map(({ capId }) => capId).join(', ')
    this.#equal('admission', event, 'caps', names(event.caps), names(own))
    for (const hold of event.caps) {
      const cap = own.find(({ capId }) => capId === hold.capId)
      if (cap) this.#takeHold(job, event, hold, cap, needed[cap.life.shape.metric])
    }
  }

  #takeHold(job: Job, event: JobAdmitted & Header, hold: CapHold, cap: CapInForce, needed: bigint): void {
    const at = (field: string) => `${hold.capId}.${field}`
    const { metric } = cap.life.shape
    const standing = standingOf(cap.life, hold.periodStart)
    this.#equal('admission', event, at('capVersion'), hold.capVersion, cap.version)
    this.#equal('admission', event, at('metric'), hold.metric, metric)
    this.#equal('admission', event, at('limit'), hold.limit, cap.limit)
    this.#equal('admission', event, at('held'), hold.held, needed)
    this.#equal('admission', event, at('settledBefore'), hold.settledBefore, standing.settled)
    this.#equal('admission', event, at('heldBefore'), hold.heldBefore, standing.held)
    this.#checkPeriod('admission', event, cap, hold.periodStart, hold.periodEnd, event.timeZone)
    const total = standing.settled + standing.held + needed
    if (total > cap.limit) {
      this.#complain(
        'admission',
        event,
        `cap ${hold.capId} is passed by ${total - cap.limit}: ${total} of ${cap.limit}`,
      )
    }
    standing.held += needed
    job.holds.set(hold.capId, { hold: { ...hold, held: needed, metric }, life: cap.life, isSettled: false })
  }

  #checkPeriod(
    check: Check,
    event: JobEvent,
    cap: CapInForce,
    start: bigint,
    end: bigint | null,
    timeZone: string,
  ): void {
    const { countsFrom, shape } = cap.life
    const says = (fault: string) => this.#complain(check, event, `the period of cap ${cap.capId} ${fault}`)
    if (shape.period === 'total') {
      if (start !== countsFrom || end !== null) says('is not the whole life of the cap')
      return
    }
    if (end === null) return says('never ends')
    if (event.occurredAt < start || event.occurredAt >= end) says('does not hold the moment of the decision')
    const key = JSON.stringify([shape.period, shape.anchorDate, timeZone, String(start), String(end)])
    if (!this.#periodFaults.has(key)) {
      const { period, anchorDate } = shape
      this.#periodFaults.set(key, periodFault({ period, anchorDate }, timeZone, start, end))
    }
    const fault = this.#periodFaults.get(key)
    if (fault) says(fault)
  }

  #checkRefusal(submitted: JobSubmitted, event: JobRefused & Header): void {
    const tenant = this.#directory.tenants.get(event.tenantId)
    this.#equal('refusal', event, 'timeZone', event.timeZone, tenant?.timeZone ?? null)
    if (!tenant) return
    const inForce = this.#directory.inForce(tenant.currency, event.occurredAt, event.directoryVersion)
    const hasPrice = event.reason === 'over_cap' || event.reason === 'over_max_charge'
    if (hasPrice || event.priceBookHash !== null)
      this.#equal('refusal', event, 'priceBookHash', event.priceBookHash, inForce)
    const { inputTokensMax, outputTokensMax, maxCharge } = submitted
    const book = inForce === undefined ? undefined : this.#directory.book(inForce)
    const mosts = book ? mostsOfAnyRoute(book, event.capability, inputTokensMax, outputTokensMax) : new Set<bigint>()
    if (event.reason === 'over_max_charge') {
      const most = event.heldPico ?? 0n
      if (maxCharge === null || most <= maxCharge)
        this.#complain('refusal', event, 'the caller accepts what it could cost')
      if (!mosts.has(most)) this.#complain('refusal', event, `no route could cost ${most}`)
    }
    if (event.reason === 'over_cap') this.#checkCapRefusal(submitted, event, tenant.timeZone, mosts)
    else if (event.cap) this.#complain('refusal', event, `names a cap although the reason is ${event.reason}`)
  }

  #checkCapRefusal(
    submitted: JobSubmitted,
    event: JobRefused & Header,
    timeZone: string,
    mosts: ReadonlySet<bigint>,
  ): void {
    const refusal = event.cap
    if (!refusal) return this.#complain('refusal', event, 'does not name the cap')
    const own = this.#capsOf(event.tenantId).applicable(event.memberId, event.capability)
    const cap = own.find(({ capId }) => capId === refusal.capId)
    if (!cap) return this.#complain('refusal', event, `cap ${refusal.capId} does not apply`)
    const { metric } = cap.life.shape
    const tokens = submitted.inputTokensMax + submitted.outputTokensMax
    const needed = { requests: 1n, tokens, money: refusal.needed }[metric]
    if (metric === 'money' && !mosts.has(needed)) this.#complain('refusal', event, `no route could cost ${needed}`)
    const standing = standingOf(cap.life, refusal.periodStart)
    const free = cap.limit - standing.settled - standing.held
    this.#equal('refusal', event, 'capVersion', refusal.capVersion, cap.version)
    this.#equal('refusal', event, 'metric', refusal.metric, metric)
    this.#equal('refusal', event, 'limit', refusal.limit, cap.limit)
    this.#equal('refusal', event, 'needed', refusal.needed, needed)
    this.#equal('refusal', event, 'free', refusal.free, free > 0n ? free : 0n)
    this.#checkPeriod('refusal', event, cap, refusal.periodStart, refusal.resetsAt, timeZone)
    if (needed <= free) this.#complain('refusal', event, `${needed} fits under cap ${cap.capId}, where ${free} is free`)
  }

  #takeStarted(job: Job, admitted: JobAdmitted, event: AttemptStarted & Header): void {
    this.#equal('attempt', event, 'attemptNo', event.attemptNo, job.attempts.length + 1)
    if (job.openAttempt) this.#complain('attempt', event, 'the attempt before is still under way')
    if (event.attemptNo > admitted.attemptsMax)
      this.#complain('attempt', event, `more than ${admitted.attemptsMax} attempts`)
    if (!admitted.route.some((step) => isSameStep(step, event)))
      this.#complain('attempt', event, 'is no step of the route')
    if (job.attempts.some(({ attemptId }) => attemptId === event.attemptId))
      this.#complain('attempt', event, 'its id was used before')
    const retryAt = job.lastFailed?.retryAt
    if (retryAt === null) this.#complain('attempt', event, 'the failure before was said to be the last')
    if (retryAt && event.occurredAt < retryAt) this.#complain('attempt', event, 'starts before its time')
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
    this.#equal('attempt', event, 'model', event.model, job.attempts.at(-1)?.model)
    this.#takeEnd(job, event, 'succeeded', event.attemptNo)
  }

  #checkOutcome(job: Job, event: Header & (AttemptFailed | JobSucceeded)): void {
    const started = job.openAttempt
    if (!started) return this.#complain('attempt', event, `${event.type} without an attempt under way`)
    this.#equal('attempt', event, 'attemptNo', event.attemptNo, started.attemptNo)
    this.#equal('attempt', event, 'attemptId', event.attemptId, started.attemptId)
    this.#equal('attempt', event, 'provider', event.provider, started.provider)
  }

  #takeEnd(job: Job, event: JobEvent, outcome: Outcome, attempts: number): void {
    this.#equal('end', event, 'attempts', attempts, job.attempts.length)
    job.end = { outcome, attempts: job.attempts.length }
  }

  #takeUsage(job: Job, admitted: JobAdmitted, event: UsageMetered & Header): void {
    if (job.usage) return this.#complain('usage', event, 'the job was metered before')
    if (!job.end) this.#complain('usage', event, 'the job has not ended')
    job.usage = event
    const last = job.attempts.at(-1)
    if (!last) this.#complain('usage', event, 'no attempt started')
    this.#equal('usage', event, 'memberId', event.memberId, admitted.memberId)
    this.#equal('usage', event, 'capability', event.capability, admitted.capability)
    for (const field of ['attemptNo', 'attemptId', 'provider', 'model', 'keyOwner', 'keyId'] as const) {
      this.#equal('usage', event, field, event[field], last?.[field])
    }
    this.#equal('usage', event, 'tokensHeld', event.tokensHeld, admitted.tokensHeld)
    this.#checkFigures(job, event)
    this.#settle(job, event, { tokens: tokensOf(event) })
  }

  /**
   * The figures of a call that ended the job in failure stand in two events; a successful one's only here. A job that
   * ended while it waited for its next attempt ended by no call, so it has none.
   */
  #checkFigures(job: Job, event: UsageMetered & Header): void {
    const names = Object.keys(zero) as (keyof Buckets)[]
    if (names.some((name) => event[name] < 0n)) this.#complain('usage', event, 'a figure is below 0')
    if (event.reasoningTokens > event.outputTokens) this.#complain('usage', event, 'more reasoning than output')
    if (event.source === 'absent' && names.some((name) => event[name] !== 0n)) {
      this.#complain('usage', event, 'has figures although none are said to be known')
    }
    if (event.source === 'absent' && job.end?.outcome === 'succeeded') {
      this.#complain('usage', event, 'a job succeeded without figures')
    }
    if (!job.lastFailed) return
    const reported = job.lastFailed.retryAt === null ? job.lastFailed.usage : null
    this.#equal('usage', event, 'whether figures are known', event.source !== 'absent', reported !== null)
    for (const name of names) this.#equal('usage', event, name, event[name], reported?.[name] ?? 0n)
  }

  #takeRated(job: Job, admitted: JobAdmitted & Header, event: JobRated & Header): void {
    this.#ledger(event.tenantId, event.currency).recordedPico += event.chargedPico
    for (const { lineId } of event.lines) {
      if (this.#lineIds.has(lineId)) this.#complain('rating', event, `line ${lineId} comes twice`)
      this.#lineIds.add(lineId)
    }
    if (job.isRated) return this.#complain('rating', event, 'the job was rated before: it is charged twice')
    if (!job.end) return this.#complain('rating', event, 'the job has not ended')
    job.isRated = true
    this.#takeOwnCharge(job)
    const { usage } = job
    const last = job.attempts.at(-1)
    if (last && !usage) this.#complain('usage', event, 'an attempt started but the job was never metered')
    const own: Partial<Record<keyof JobRated, unknown>> = {
      memberId: admitted.memberId,
      capability: admitted.capability,
      outcome: job.end.outcome,
      attempts: job.attempts.length,
      currency: admitted.currency,
      priceBookHash: admitted.priceBookHash,
      billingPeriod: localMonth(admitted.timeZone, admitted.occurredAt),
      admittedAt: admitted.occurredAt,
      usageEventId: usage?.eventId ?? null,
      provider: last?.provider ?? null,
      model: last?.model ?? null,
      keyOwner: last?.keyOwner ?? null,
      heldPico: admitted.heldPico,
    }
    for (const field of Object.keys(own) as (keyof JobRated)[])
      this.#equal('rating', event, field, event[field], own[field])
    this.#checkCharge(event, job.charge)
    this.#checkExcess(job, admitted, event)
    const settled: Partial<Record<Metric, bigint>> = { requests: last ? 1n : 0n, money: job.charge?.chargedPico ?? 0n }
    this.#settle(job, event, last ? settled : { ...settled, tokens: 0n })
  }

  #checkCharge(event: JobRated & Header, charge: Charge | undefined): void {
    if (!charge) return this.#complain('rating', event, 'no known price book prices what was used')
    this.#equal('rating', event, 'lines', asText(event.lines), asText(charge.lines))
    this.#equal('rating', event, 'chargedPico', event.chargedPico, charge.chargedPico)
    this.#equal('rating', event, 'providerCostPico', event.providerCostPico, charge.providerCostPico)
  }

  #takeOwnCharge(job: Job): void {
    const { submitted, admitted, end, usage } = job
    if (!admitted || !end) return
    const book = this.#directory.book(admitted.priceBookHash)
    const last = job.attempts.at(-1)
    job.charge = last ? book && ownCharge(book, submitted, last, end.outcome, usage) : nothing
  }

  #checkExcess(job: Job, admitted: JobAdmitted, event: JobRated & Header): void {
    const pairs: [Metric, bigint, bigint][] = [
      ['tokens', admitted.tokensHeld, tokensOf(job.usage ?? zero)],
      ['money', admitted.heldPico, job.charge?.chargedPico ?? 0n],
    ]
    const own = pairs
      .filter(([, held, actual]) => actual > held)
      .map(([metric, held, actual]) => `${metric}: ${actual} instead of ${held}, ${actual - held} more`)
    const recorded = job.exceeded.map((e) => `${e.metric}: ${e.actual} instead of ${e.held}, ${e.excess} more`)
    this.#equal('excess', event, 'HoldExceeded', recorded.join('; '), own.join('; '))
  }

  /** Settles at the verifier's own amounts: a wrong one that was recorded does not spread. */
  #settle(job: Job, event: JobEvent & { settlements: Settlement[] }, amounts: Partial<Record<Metric, bigint>>): void {
    const due = [...job.holds.values()].filter(({ hold }) => amounts[hold.metric] !== undefined)
    const names = (list: readonly { capId: string }[]) =>
      list
        .map(({ capId }) => capId)
        .sort()
        .join(', ')
    this.#equal('settlement', event, 'caps', names(event.settlements), names(due.map(({ hold }) => hold)))
    for (const open of due) {
      const { hold, life } = open
      const recorded = event.settlements.find(({ capId }) => capId === hold.capId)
      if (!recorded || open.isSettled) continue
      const settled = amounts[hold.metric] ?? 0n
      const at = (field: string) => `${hold.capId}.${field}`
      this.#equal('settlement', event, at('capVersion'), recorded.capVersion, hold.capVersion)
      this.#equal('settlement', event, at('periodStart'), recorded.periodStart, hold.periodStart)
      this.#equal('settlement', event, at('metric'), recorded.metric, hold.metric)
      this.#equal('settlement', event, at('held'), recorded.held, hold.held)
      this.#equal('settlement', event, at('settled'), recorded.settled, settled)
      open.isSettled = true
      const standing = standingOf(life, hold.periodStart)
      standing.held -= hold.held
      standing.settled += settled
    }
  }

  #capsOf(tenantId: string): OwnCaps {
    const known = this.#caps.get(tenantId)
    if (known) return known
    const made = new OwnCaps()
    this.#caps.set(tenantId, made)
    return made
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

  #equal(check: Check, event: Event, name: string, recorded: unknown, own: unknown): void {
    if (recorded === own) return
    this.#complain(check, event, `${event.type}: ${name} is ${String(recorded)}, should be ${String(own)}`)
  }

  #complain(check: Check, event: Event, says: string): void {
    const { tenantId, seq } = event
    const ofJob = 'jobId' in event ? { jobId: event.jobId } : {}
    this.#findings.add({ check, partition: this.#partition, seq, tenantId, ...ofJob, says })
  }
}

const nothing: Charge = { lines: [], chargedPico: 0n, providerCostPico: 0n }

function ownCharge(
  book: Book,
  { capability, maxCharge }: JobSubmitted,
  step: RouteStep,
  outcome: Outcome,
  usage: UsageMetered | undefined,
) {
  const isKnown = usage !== undefined && usage.source !== 'absent'
  const isCharged = outcome === 'succeeded' || (outcome === 'cancelled' && isKnown)
  return chargeOf(book, { ...step, capability }, usage ?? zero, { isCharged, maxCharge })
}

const tokensOf = (usage: Buckets): bigint =>
  usage.inputUncachedTokens + usage.inputCacheReadTokens + usage.inputCacheWriteTokens + usage.outputTokens

const isSameStep = (a: RouteStep, b: RouteStep): boolean =>
  a.provider === b.provider && a.model === b.model && a.keyOwner === b.keyOwner && a.keyId === b.keyId

const asText = (lines: readonly Omit<Line, 'lineId'>[]): string =>
  lines.map((line) => `${line.kind} ${line.quantity} × ${line.pricePico} = ${line.amountPico}`).join('; ') || 'none'
