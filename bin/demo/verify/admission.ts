/** Holds every admission and refusal against the verifier's own replay of caps, price books and tenants. */
import type { CapHold, Event, Header, JobAdmitted, JobRefused, JobSubmitted, Metric } from './events.ts'
import type { Check, PartitionReport } from './findings.ts'
import type { Job, JobEvent } from './job.ts'
import { localMonth, periodFault } from './own-calendar.ts'
import { type CapInForce, OwnCaps, standingOf } from './own-caps.ts'
import type { OwnDirectory } from './own-directory.ts'
import { mostOf, mostsOfAnyRoute } from './own-price.ts'

/** For as long an owner knows that a key stands for a job. */
const keyKnownMicros = 86_400_000_000n

export class AdmissionCheck {
  readonly #directory: OwnDirectory
  readonly #report: PartitionReport
  readonly #caps = new Map<string, OwnCaps>()
  readonly #periodFaults = new Map<string, string | undefined>()

  constructor(directory: OwnDirectory, report: PartitionReport) {
    this.#directory = directory
    this.#report = report
  }

  takeCap(event: Extract<Event, { type: 'CapSet' | 'CapRemoved' }>): void {
    const caps = this.#capsOf(event.tenantId)
    const faults = event.type === 'CapSet' ? caps.set(event) : caps.remove(event)
    for (const fault of faults) this.#report.complain('cap', event, `${event.type} ${event.capId}: ${fault}`)
  }

  admit(job: Job, event: JobAdmitted & Header): void {
    job.admitted = event
    const before = job.sameKeyBefore
    if (before && event.occurredAt - before.occurredAt < keyKnownMicros)
      this.#report.complain('admission', event, `${before.jobId} has the same idempotency key`)
    const { inputTokensMax, outputTokensMax, maxCharge } = job.submitted
    const tenant = this.#directory.tenants.get(event.tenantId)
    if (!tenant) this.#report.complain('admission', event, 'the tenant is not registered')
    this.#report.equal('admission', event, 'currency', event.currency, tenant?.currency)
    this.#report.equal('admission', event, 'timeZone', event.timeZone, tenant?.timeZone)
    const month = localMonth(event.timeZone, event.occurredAt)
    this.#report.equal('admission', event, 'billingPeriod', event.billingPeriod, month)
    const inForce = this.#directory.inForce(event.currency, event.occurredAt, event.directoryVersion)
    this.#report.equal('admission', event, 'priceBookHash', event.priceBookHash, inForce)
    this.#report.equal('admission', event, 'requestsHeld', event.requestsHeld, 1n)
    this.#report.equal('admission', event, 'tokensHeld', event.tokensHeld, inputTokensMax + outputTokensMax)
    const book = this.#directory.book(event.priceBookHash)
    const steps = event.route.map((step) => ({ ...step, capability: event.capability }))
    const most = book && mostOf(book, steps, inputTokensMax, outputTokensMax)
    this.#report.equal('admission', event, 'heldPico', event.heldPico, most)
    this.#report.equal('admission', event, 'maxCharge', event.maxCharge, maxCharge)
    if (maxCharge !== null && event.heldPico > maxCharge)
      this.#report.complain('admission', event, 'more is held than the caller accepts')
    this.#takeHolds(job, event, {
      requests: 1n,
      tokens: inputTokensMax + outputTokensMax,
      money: most ?? event.heldPico,
    })
  }

  checkRefusal({ submitted, sameKeyBefore }: Job, event: JobRefused & Header): void {
    if (event.reason === 'key_taken' && !sameKeyBefore)
      this.#report.complain('refusal', event, 'no job before it has the same idempotency key')
    const tenant = this.#directory.tenants.get(event.tenantId)
    this.#report.equal('refusal', event, 'timeZone', event.timeZone, tenant?.timeZone ?? null)
    if (!tenant) return
    const inForce = this.#directory.inForce(tenant.currency, event.occurredAt, event.directoryVersion)
    const hasPrice = event.reason === 'over_cap' || event.reason === 'over_max_charge'
    if (hasPrice || event.priceBookHash !== null)
      this.#report.equal('refusal', event, 'priceBookHash', event.priceBookHash, inForce)
    const { inputTokensMax, outputTokensMax, maxCharge } = submitted
    const book = inForce === undefined ? undefined : this.#directory.book(inForce)
    const mosts = book ? mostsOfAnyRoute(book, event.capability, inputTokensMax, outputTokensMax) : new Set<bigint>()
    if (event.reason === 'over_max_charge') {
      const most = event.heldPico ?? 0n
      if (maxCharge === null || most <= maxCharge)
        this.#report.complain('refusal', event, 'the caller accepts what it could cost')
      if (!mosts.has(most)) this.#report.complain('refusal', event, `no route could cost ${most}`)
    }
    if (event.reason === 'over_cap') this.#checkCapRefusal(submitted, event, tenant.timeZone, mosts)
    else if (event.cap) this.#report.complain('refusal', event, `names a cap although the reason is ${event.reason}`)
  }

  /** When every job has ended: nothing may be held any more. */
  finish(): void {
    for (const [tenantId, caps] of this.#caps) {
      for (const { capId, start, standing } of caps.standings()) {
        if (standing.held === 0n) continue
        this.#report.complainOf(
          tenantId,
          'hold',
          `cap ${capId} still holds ${standing.held} in the period from ${start}`,
        )
      }
    }
  }

  #takeHolds(job: Job, event: JobAdmitted & Header, needed: Record<Metric, bigint>): void {
    const own = this.#capsOf(event.tenantId).applicable(event.memberId, event.capability)
    const names = (ids: readonly { capId: string }[]) => ids.map(({ capId }) => capId).join(', ')
    this.#report.equal('admission', event, 'caps', names(event.caps), names(own))
    for (const hold of event.caps) {
      const cap = own.find(({ capId }) => capId === hold.capId)
      if (cap) this.#takeHold(job, event, hold, cap, needed[cap.life.shape.metric])
    }
  }

  #takeHold(job: Job, event: JobAdmitted & Header, hold: CapHold, cap: CapInForce, needed: bigint): void {
    const at = (field: string) => `${hold.capId}.${field}`
    const { metric } = cap.life.shape
    const standing = standingOf(cap.life, hold.periodStart)
    this.#report.equal('admission', event, at('capVersion'), hold.capVersion, cap.version)
    this.#report.equal('admission', event, at('metric'), hold.metric, metric)
    this.#report.equal('admission', event, at('limit'), hold.limit, cap.limit)
    this.#report.equal('admission', event, at('held'), hold.held, needed)
    this.#report.equal('admission', event, at('settledBefore'), hold.settledBefore, standing.settled)
    this.#report.equal('admission', event, at('heldBefore'), hold.heldBefore, standing.held)
    this.#checkPeriod('admission', event, cap, hold.periodStart, hold.periodEnd, event.timeZone)
    const total = standing.settled + standing.held + needed
    if (total > cap.limit) {
      this.#report.complain(
        'admission',
        event,
        `cap ${hold.capId} is passed by ${total - cap.limit}: ${total} of ${cap.limit}`,
      )
    }
    standing.held += needed
    job.holds.set(hold.capId, { hold: { ...hold, held: needed, metric }, life: cap.life, isSettled: false })
  }

  #checkCapRefusal(
    submitted: JobSubmitted,
    event: JobRefused & Header,
    timeZone: string,
    mosts: ReadonlySet<bigint>,
  ): void {
    const refusal = event.cap
    if (!refusal) return this.#report.complain('refusal', event, 'does not name the cap')
    const own = this.#capsOf(event.tenantId).applicable(event.memberId, event.capability)
    const cap = own.find(({ capId }) => capId === refusal.capId)
    if (!cap) return this.#report.complain('refusal', event, `cap ${refusal.capId} does not apply`)
    const { metric } = cap.life.shape
    const tokens = submitted.inputTokensMax + submitted.outputTokensMax
    const needed = { requests: 1n, tokens, money: refusal.needed }[metric]
    if (metric === 'money' && !mosts.has(needed))
      this.#report.complain('refusal', event, `no route could cost ${needed}`)
    const standing = standingOf(cap.life, refusal.periodStart)
    const free = cap.limit - standing.settled - standing.held
    this.#report.equal('refusal', event, 'capVersion', refusal.capVersion, cap.version)
    this.#report.equal('refusal', event, 'metric', refusal.metric, metric)
    this.#report.equal('refusal', event, 'limit', refusal.limit, cap.limit)
    this.#report.equal('refusal', event, 'needed', refusal.needed, needed)
    this.#report.equal('refusal', event, 'free', refusal.free, free > 0n ? free : 0n)
    this.#checkPeriod('refusal', event, cap, refusal.periodStart, refusal.resetsAt, timeZone)
    if (needed <= free)
      this.#report.complain('refusal', event, `${needed} fits under cap ${cap.capId}, where ${free} is free`)
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
    const says = (fault: string) => this.#report.complain(check, event, `the period of cap ${cap.capId} ${fault}`)
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

  #capsOf(tenantId: string): OwnCaps {
    const known = this.#caps.get(tenantId)
    if (known) return known
    const made = new OwnCaps()
    this.#caps.set(tenantId, made)
    return made
  }
}
