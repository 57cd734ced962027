/**
 * Rates one tenant's billing period again from its facts: what every job used, how it ended and which price book its
 * admission named, or another book to see what would have been. Compared line by line with what was rated and, if
 * wanted, with the ledger. Pure: reads facts in order and never decides anything anew.
 */
import { canonicalJson, isSoundUsage, type PriceBook, type UsageBuckets } from '../../pricing/index.ts'
import type { Fact, FactType, JobRatedBody } from '../../schemas/events.generated.ts'
import type { Pico } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'
import { type EndedJob, jobRated, type ReportedUsage, ratingOf } from './decide.ts'

/** A line as the ledger shows it. */
export type LedgerLine = Line & { jobId: string; currency: string }
type Line = { lineId: string; kind: string; quantity: bigint; pricePico: Pico; amountPico: Pico }

export type ReplayRequest = {
  tenantId: string
  /** YYYY-MM of the tenant's calendar. */
  period: string
  /** Every price book that a job of the period names; undefined for one that is not known. */
  bookByHash(hash: string): PriceBook | undefined
  /** Rates every job under this book instead of its own: what if. Only amounts are compared then. */
  otherBook?: PriceBook
  /** The ledger's lines of the tenant and period. */
  ledger?: Iterable<LedgerLine> | AsyncIterable<LedgerLine>
}

/** A fact behind a difference. */
export type Evidence = { type: FactType; eventId: string; seq: bigint }

/**
 * `missing`: replay derives it, nobody recorded it; `extra`: recorded, but replay does not derive it; `differs`: both,
 * with other contents; `unpriced`: the book has no price for it, so there is nothing to compare.
 */
export type Delta = {
  kind: 'missing' | 'extra' | 'differs' | 'unpriced'
  /** Where the recorded side stands. */
  in: 'facts' | 'ledger'
  jobId: string
  /** What is compared: `line`, a whole fact, a field of the rated fact, or a price. */
  what: string
  lineId: string | null
  recorded: string | null
  derived: string | null
  /** Derived minus recorded; 0 for a field that is no amount. */
  amountPico: Pico
  /** Facts the derivation rests on, in order. */
  evidence: Evidence[]
}

export type ReplayReport = {
  tenantId: string
  period: string
  /** The other book's hash; null when every job was rated under its own. */
  otherBookHash: string | null
  /** Jobs admitted in the period. */
  jobs: number
  /** Of them, those that have ended. */
  endedJobs: number
  /** Of them, those the book does not price, or whose usage is missing. */
  underivedJobs: number
  lines: number
  /** By currency. Jobs without a derived charge stand in neither the recorded nor the derived sum. */
  totals: { currency: string; recordedPico: Pico; derivedPico: Pico; ledgerPico: Pico | null }[]
  deltaCount: number
  /** The first 10,000. */
  deltas: Delta[]
}

const jobsMax = 10_000_000
const deltasMax = 10_000

/** What a replay looks at; facts of other types need not be given to it. */
export const replayedTypes: ReadonlySet<string> = new Set<FactType>([
  'JobAdmitted',
  'JobSucceeded',
  'JobFailed',
  'JobCancelled',
  'UsageMetered',
  'JobRated',
])

/**
 * `batches` are the facts of the tenant's partition, in order of `seq`, from before the period's first admission to now;
 * other tenants' are passed over. Keeps open jobs, an id per rated job and the ledger in memory, at most 10 million
 * jobs; throws RangeError beyond. Reading the same facts twice gives the same report.
 */
export async function replay(
  batches: AsyncIterable<Iterable<Fact>> | Iterable<Iterable<Fact>>,
  request: ReplayRequest,
): Promise<ReplayReport> {
  const replayed = new Replay(request)
  for await (const line of request.ledger ?? []) replayed.takeLedgerLine(line)
  for await (const facts of batches)
    for (const fact of facts)
      if (fact.tenantId === request.tenantId && replayedTypes.has(fact.type)) replayed.take(fact)
  return replayed.finish()
}

type OpenJob = {
  admitted: Recorded<'JobAdmitted'>
  end?: Recorded<'JobSucceeded' | 'JobFailed' | 'JobCancelled'>
  usage?: Recorded<'UsageMetered'>
  evidence: Evidence[]
}

class Replay {
  readonly #request: ReplayRequest
  readonly #open = new Map<string, OpenJob>()
  readonly #rated = new Set<string>()
  readonly #ledger = new Map<string, LedgerLine[]>()
  readonly #totals = new Map<string, { recordedPico: Pico; derivedPico: Pico; ledgerPico: Pico | null }>()
  readonly #report: ReplayReport

  constructor(request: ReplayRequest) {
    this.#request = request
    const { tenantId, period, otherBook } = request
    this.#report = {
      tenantId,
      period,
      otherBookHash: otherBook?.hash ?? null,
      jobs: 0,
      endedJobs: 0,
      underivedJobs: 0,
      lines: 0,
      totals: [],
      deltaCount: 0,
      deltas: [],
    }
  }

  takeLedgerLine(line: LedgerLine): void {
    const ofJob = this.#ledger.get(line.jobId)
    if (ofJob) ofJob.push(line)
    else this.#ledger.set(line.jobId, [line])
    const totals = this.#totalsOf(line.currency)
    totals.ledgerPico = (totals.ledgerPico ?? 0n) + line.amountPico
  }

  take(fact: Fact): void {
    switch (fact.type) {
      case 'JobAdmitted':
        return this.#admit(fact)
      case 'JobSucceeded':
      case 'JobFailed':
      case 'JobCancelled':
        return this.#note(fact, { end: fact })
      case 'UsageMetered':
        return this.#note(fact, { usage: fact })
      case 'JobRated':
        return this.#compare(fact)
    }
  }

  finish(): ReplayReport {
    for (const [jobId, job] of this.#open) {
      if (!job.end) continue
      this.#report.endedJobs++
      this.#compareJob(jobId, job, undefined)
    }
    for (const [jobId, lines] of this.#ledger) {
      for (const line of lines) this.#extraLine('ledger', jobId, line, [])
    }
    this.#report.totals = [...this.#totals].map(([currency, sums]) => ({ currency, ...sums }))
    return this.#report
  }

  #admit(fact: Recorded<'JobAdmitted'>): void {
    if (fact.billingPeriod !== this.#request.period) return
    if (this.#report.jobs >= jobsMax) throw new RangeError(`More than ${jobsMax} jobs in ${fact.billingPeriod}`)
    this.#report.jobs++
    this.#open.set(fact.jobId, { admitted: fact, evidence: [evidenceOf(fact)] })
  }

  #note(fact: Extract<Fact, { jobId: string }>, part: Partial<Pick<OpenJob, 'end' | 'usage'>>): void {
    const job = this.#open.get(fact.jobId)
    if (!job) return
    Object.assign(job, part)
    job.evidence.push(evidenceOf(fact))
  }

  #compare(fact: Recorded<'JobRated'>): void {
    const job = this.#open.get(fact.jobId)
    if (!job) {
      // Rated in this period without having been admitted in it, or rated once more.
      if (fact.billingPeriod === this.#request.period || this.#rated.has(fact.jobId)) this.#extraRating(fact)
      return
    }
    this.#report.endedJobs++
    job.evidence.push(evidenceOf(fact))
    this.#open.delete(fact.jobId)
    this.#rated.add(fact.jobId)
    this.#compareJob(fact.jobId, job, fact)
  }

  #compareJob(jobId: string, job: OpenJob, recorded: Recorded<'JobRated'> | undefined): void {
    const { admitted, evidence } = job
    const ended = endedJob(job)
    const derived = ended && this.#derive(ended, job.usage?.eventId ?? '')
    if (!derived) return this.#notDerived(job, ended, recorded)
    const totals = this.#totalsOf(admitted.currency)
    totals.derivedPico += derived.chargedPico
    totals.recordedPico += recorded?.chargedPico ?? 0n
    this.#report.lines += derived.lines.length
    if (!recorded) {
      const about = {
        jobId,
        what: 'JobRated',
        lineId: null,
        recorded: null,
        derived: `charge of ${derived.chargedPico}`,
      }
      // The lines tell the amounts.
      this.#delta({ kind: 'missing', in: 'facts', ...about, amountPico: 0n, evidence })
    } else if (!this.#request.otherBook) {
      this.#compareFields(recorded, derived, evidence)
    }
    this.#compareLines('facts', jobId, recorded?.lines ?? [], derived.lines, evidence)
    if (!this.#request.ledger) return
    this.#compareLines('ledger', jobId, this.#ledger.get(jobId) ?? [], derived.lines, evidence)
    this.#ledger.delete(jobId)
  }

  /** The rated fact as it ought to be; undefined when the book does not price the job. */
  #derive(ended: EndedJob, usageEventId: string): JobRatedBody | undefined {
    const { otherBook, bookByHash } = this.#request
    const book = otherBook ?? bookByHash(ended.priceBookHash)
    if (book?.currency !== ended.currency) return undefined
    const rating = ratingOf(ended, book)
    return rating.priced ? jobRated(ended, rating, usageEventId) : undefined
  }

  #notDerived(job: OpenJob, ended: EndedJob | undefined, recorded: Recorded<'JobRated'> | undefined): void {
    const {
      end,
      evidence,
      admitted: { jobId, priceBookHash },
    } = job
    this.#report.underivedJobs++
    this.#ledger.delete(jobId)
    const about = ended
      ? { kind: 'unpriced' as const, what: `price in book ${this.#request.otherBook?.hash ?? priceBookHash}` }
      : { kind: 'missing' as const, what: end ? 'sound UsageMetered' : 'end of the job' }
    const charge = recorded ? `charge of ${recorded.chargedPico}` : null
    const amountPico = -(recorded?.chargedPico ?? 0n)
    this.#delta({ ...about, in: 'facts', jobId, lineId: null, recorded: charge, derived: null, amountPico, evidence })
  }

  #compareFields(recorded: Recorded<'JobRated'>, derived: JobRatedBody, evidence: Evidence[]): void {
    for (const field of comparedFields) {
      if (isSame(recorded[field], derived[field])) continue
      const [is, ought] = [asText(recorded[field]), asText(derived[field])]
      if (is === ought) continue
      const { jobId } = derived
      this.#delta({
        kind: 'differs',
        in: 'facts',
        jobId,
        what: field,
        lineId: null,
        recorded: is,
        derived: ought,
        amountPico: 0n,
        evidence,
      })
    }
  }

  #compareLines(
    where: Delta['in'],
    jobId: string,
    recorded: readonly Line[],
    derived: readonly Line[],
    evidence: Evidence[],
  ): void {
    const left = [...recorded]
    for (const line of derived) {
      const at = left.findIndex(({ lineId }) => lineId === line.lineId)
      const found = at < 0 ? undefined : left.splice(at, 1)[0]
      const [is, ought] = [found ? lineText(found) : null, lineText(line)]
      if (is === ought) continue
      const amountPico = line.amountPico - (found?.amountPico ?? 0n)
      const kind = found ? 'differs' : 'missing'
      const { lineId } = line
      this.#delta({ kind, in: where, jobId, what: 'line', lineId, recorded: is, derived: ought, amountPico, evidence })
    }
    for (const line of left) this.#extraLine(where, jobId, line, evidence)
  }

  #extraRating(fact: Recorded<'JobRated'>): void {
    this.#totalsOf(fact.currency).recordedPico += fact.chargedPico
    const evidence = [evidenceOf(fact)]
    const { jobId } = fact
    const about = { jobId, what: 'JobRated', lineId: null, recorded: `charge of ${fact.chargedPico}`, derived: null }
    this.#delta({ kind: 'extra', in: 'facts', ...about, amountPico: 0n, evidence })
    for (const line of fact.lines) this.#extraLine('facts', jobId, line, evidence)
  }

  #extraLine(where: Delta['in'], jobId: string, line: Line, evidence: Evidence[]): void {
    const about = { jobId, what: 'line', lineId: line.lineId, recorded: lineText(line), derived: null }
    this.#delta({ kind: 'extra', in: where, ...about, amountPico: -line.amountPico, evidence })
  }

  #totalsOf(currency: string) {
    const known = this.#totals.get(currency)
    if (known) return known
    const made = { recordedPico: 0n, derivedPico: 0n, ledgerPico: this.#request.ledger ? 0n : null }
    this.#totals.set(currency, made)
    return made
  }

  #delta(delta: Delta): void {
    this.#report.deltaCount++
    if (this.#report.deltas.length < deltasMax) this.#report.deltas.push(delta)
  }
}

/** Lines are compared one by one, and with them the charge is. */
const comparedFields = [
  'memberId',
  'capability',
  'outcome',
  'attempts',
  'currency',
  'priceBookHash',
  'billingPeriod',
  'admittedAt',
  'usageEventId',
  'provider',
  'model',
  'keyOwner',
  'chargedPico',
  'providerCostPico',
  'heldPico',
  'settlements',
] as const satisfies readonly (keyof JobRatedBody)[]

/** Undefined when the job has not ended, or an attempt started but what it used is not known or cannot be true. */
function endedJob({ admitted, end, usage }: OpenJob): EndedJob | undefined {
  if (!end) return undefined
  const attempts = end.type === 'JobSucceeded' ? end.attemptNo : end.attempts
  if (attempts > 0 && !(usage && isSoundUsage(usage))) return undefined
  const outcome = ({ JobSucceeded: 'succeeded', JobFailed: 'failed', JobCancelled: 'cancelled' } as const)[end.type]
  const attempt = usage && attempts > 0 ? { ...usage, attemptNo: attempts, usage: reportedUsage(usage) } : null
  return { ...admitted, admittedAt: admitted.occurredAt, outcome, attempt }
}

function reportedUsage(usage: Recorded<'UsageMetered'>): ReportedUsage | null {
  const { source } = usage
  if (source === 'absent') return null
  const { inputUncachedTokens, inputCacheReadTokens, inputCacheWriteTokens, outputTokens, reasoningTokens } = usage
  const buckets: UsageBuckets = {
    inputUncachedTokens,
    inputCacheReadTokens,
    inputCacheWriteTokens,
    outputTokens,
    reasoningTokens,
  }
  return { ...buckets, source: source === 'unknown' ? 'estimated' : source }
}

const evidenceOf = ({ type, eventId, seq }: Fact): Evidence => ({ type, eventId, seq })

const lineText = (line: Line): string => `${line.kind}: ${line.quantity} × ${line.pricePico} = ${line.amountPico}`

/** Field by field, however deep. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every((name) => isSame(left[name], right[name]))
}

/** The same text for the same value, whatever the order of its fields. */
const asText = (value: unknown): string =>
  canonicalJson(
    JSON.parse(JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part))),
  )
