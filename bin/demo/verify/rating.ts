/** Holds what was metered, charged and settled against the verifier's own arithmetic. */
import type {
  Buckets,
  Header,
  JobAdmitted,
  JobRated,
  JobSubmitted,
  Line,
  Metric,
  Outcome,
  RouteStep,
  Settlement,
  UsageMetered,
} from './events.ts'
import type { PartitionReport } from './findings.ts'
import type { Job, JobEvent } from './job.ts'
import { localMonth } from './own-calendar.ts'
import { standingOf } from './own-caps.ts'
import type { OwnDirectory } from './own-directory.ts'
import { type Book, type Charge, chargeOf } from './own-price.ts'

const zero: Buckets = {
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

export class RatingCheck {
  readonly #directory: OwnDirectory
  readonly #report: PartitionReport
  readonly #lineIds = new Set<string>()

  constructor(directory: OwnDirectory, report: PartitionReport) {
    this.#directory = directory
    this.#report = report
  }

  takeUsage(job: Job, admitted: JobAdmitted, event: UsageMetered & Header): void {
    if (job.usage) return this.#report.complain('usage', event, 'the job was metered before')
    if (!job.end) this.#report.complain('usage', event, 'the job has not ended')
    job.usage = event
    const last = job.attempts.at(-1)
    if (!last) this.#report.complain('usage', event, 'no attempt started')
    this.#report.equal('usage', event, 'memberId', event.memberId, admitted.memberId)
    this.#report.equal('usage', event, 'capability', event.capability, admitted.capability)
    for (const field of ['attemptNo', 'attemptId', 'provider', 'model', 'keyOwner', 'keyId'] as const) {
      this.#report.equal('usage', event, field, event[field], last?.[field])
    }
    this.#report.equal('usage', event, 'tokensHeld', event.tokensHeld, admitted.tokensHeld)
    this.#checkFigures(job, event)
    this.#settle(job, event, { tokens: tokensOf(event) })
  }

  takeRated(job: Job, admitted: JobAdmitted & Header, event: JobRated & Header): void {
    for (const { lineId } of event.lines) {
      if (this.#lineIds.has(lineId)) this.#report.complain('rating', event, `line ${lineId} comes twice`)
      this.#lineIds.add(lineId)
    }
    if (job.isRated) return this.#report.complain('rating', event, 'the job was rated before: it is charged twice')
    if (!job.end) return this.#report.complain('rating', event, 'the job has not ended')
    job.isRated = true
    this.takeOwnCharge(job)
    const { usage } = job
    const last = job.attempts.at(-1)
    if (last && !usage) this.#report.complain('usage', event, 'an attempt started but the job was never metered')
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
      this.#report.equal('rating', event, field, event[field], own[field])
    this.#checkCharge(event, job.charge)
    this.#checkExcess(job, admitted, event)
    const settled: Partial<Record<Metric, bigint>> = { requests: last ? 1n : 0n, money: job.charge?.chargedPico ?? 0n }
    this.#settle(job, event, last ? settled : { ...settled, tokens: 0n })
  }

  takeOwnCharge(job: Job): void {
    const { submitted, admitted, end, usage } = job
    if (!admitted || !end) return
    const book = this.#directory.book(admitted.priceBookHash)
    const last = job.attempts.at(-1)
    job.charge = last ? book && ownCharge(book, submitted, last, end.outcome, usage) : nothing
  }

  /**
   * The figures of a call that ended the job in failure stand in two events; a successful one's only here. A job that
   * ended while it waited for its next attempt ended by no call, so it has none.
   */
  #checkFigures(job: Job, event: UsageMetered & Header): void {
    const names = Object.keys(zero) as (keyof Buckets)[]
    if (names.some((name) => event[name] < 0n)) this.#report.complain('usage', event, 'a figure is below 0')
    if (event.reasoningTokens > event.outputTokens) this.#report.complain('usage', event, 'more reasoning than output')
    if (event.source === 'absent' && names.some((name) => event[name] !== 0n)) {
      this.#report.complain('usage', event, 'has figures although none are said to be known')
    }
    if (event.source === 'absent' && job.end?.outcome === 'succeeded') {
      this.#report.complain('usage', event, 'a job succeeded without figures')
    }
    if (!job.lastFailed) return
    const reported = job.lastFailed.retryAt === null ? job.lastFailed.usage : null
    this.#report.equal('usage', event, 'whether figures are known', event.source !== 'absent', reported !== null)
    for (const name of names) this.#report.equal('usage', event, name, event[name], reported?.[name] ?? 0n)
  }

  #checkCharge(event: JobRated & Header, charge: Charge | undefined): void {
    if (!charge) return this.#report.complain('rating', event, 'no known price book prices what was used')
    this.#report.equal('rating', event, 'lines', asText(event.lines), asText(charge.lines))
    this.#report.equal('rating', event, 'chargedPico', event.chargedPico, charge.chargedPico)
    this.#report.equal('rating', event, 'providerCostPico', event.providerCostPico, charge.providerCostPico)
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
    this.#report.equal('excess', event, 'HoldExceeded', recorded.join('; '), own.join('; '))
  }

  /** Settles at the verifier's own amounts: a wrong one that was recorded does not spread. */
  #settle(job: Job, event: JobEvent & { settlements: Settlement[] }, amounts: Partial<Record<Metric, bigint>>): void {
    const due = [...job.holds.values()].filter(({ hold }) => amounts[hold.metric] !== undefined)
    const names = (list: readonly { capId: string }[]) =>
      list
        .map(({ capId }) => capId)
        .sort()
        .join(', ')
    this.#report.equal('settlement', event, 'caps', names(event.settlements), names(due.map(({ hold }) => hold)))
    for (const open of due) {
      const { hold, life } = open
      const recorded = event.settlements.find(({ capId }) => capId === hold.capId)
      if (!recorded || open.isSettled) continue
      const settled = amounts[hold.metric] ?? 0n
      const at = (field: string) => `${hold.capId}.${field}`
      this.#report.equal('settlement', event, at('capVersion'), recorded.capVersion, hold.capVersion)
      this.#report.equal('settlement', event, at('periodStart'), recorded.periodStart, hold.periodStart)
      this.#report.equal('settlement', event, at('metric'), recorded.metric, hold.metric)
      this.#report.equal('settlement', event, at('held'), recorded.held, hold.held)
      this.#report.equal('settlement', event, at('settled'), recorded.settled, settled)
      open.isSettled = true
      const standing = standingOf(life, hold.periodStart)
      standing.held -= hold.held
      standing.settled += settled
    }
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

const asText = (lines: readonly Omit<Line, 'lineId'>[]): string =>
  lines.map((line) => `${line.kind} ${line.quantity} × ${line.pricePico} = ${line.amountPico}`).join('; ') || 'none'
