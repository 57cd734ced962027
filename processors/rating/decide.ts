/**
 * What follows from the end of an admitted job: what it used, by how much that passes what was held, and what it
 * costs. Each fact carries the settlements of the holds it gives up, so a reader needs no other fact. Pure.
 */
import { noUsage, type PriceBook, type Rating, rate, tokensOf, type UsageBuckets } from '../../pricing/index.ts'
import type {
  AttemptStartedKeyOwner,
  JobAdmittedBody,
  JobAdmittedCapHold,
  JobRatedBody,
  JobRatedJobOutcome,
  JobRatedSettlement,
  UsageMeteredUsageSource,
} from '../../schemas/events.generated.ts'
import { idFrom } from '../../schemas/ids.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Draft } from '../processor.ts'

/** Everything rating has to know of a job that has ended: what its admission fixed, and how it ended. */
export type EndedJob = Pick<
  JobAdmittedBody,
  | 'jobId'
  | 'memberId'
  | 'capability'
  | 'currency'
  | 'priceBookHash'
  | 'billingPeriod'
  | 'tokensHeld'
  | 'heldPico'
  | 'maxCharge'
> & {
  tenantId: string
  admittedAt: EpochMicros
  caps: readonly JobAdmittedCapHold[]
  outcome: Exclude<JobRatedJobOutcome, 'unknown'>
  /** The last attempt, which is the one that is metered and rated; null when none started. */
  attempt: RatedAttempt | null
}

export type RatedAttempt = {
  /** From 1; also the number of attempts that were started. */
  attemptNo: number
  attemptId: string
  provider: string
  model: string
  keyOwner: AttemptStartedKeyOwner
  keyId: string | null
  /** What the attempt used; null when nobody reported it: all 0, and nothing is charged unless it succeeded. */
  usage: ReportedUsage | null
  inputBytes: bigint
  outputBytes: bigint
  durationMs: bigint
}

export type ReportedUsage = UsageBuckets & {
  source: Exclude<UsageMeteredUsageSource, 'absent' | 'unknown'>
  /** The provider's own report, figures only, as JSON. */
  raw?: string
}

/** Ids follow from the job, so that JobRated can name its usage fact, and a repeated decision gives the same ids. */
export const usageEventIdOf = (tenantId: string, jobId: string): string =>
  idFrom('evt', tenantId, jobId, 'UsageMetered')
export const ratedEventIdOf = (tenantId: string, jobId: string): string => idFrom('evt', tenantId, jobId, 'JobRated')
const exceededEventIdOf = (tenantId: string, jobId: string, metric: string): string =>
  idFrom('evt', tenantId, jobId, 'HoldExceeded', metric)

/**
 * The facts of a job's end, in order: UsageMetered if an attempt started; HoldExceeded for tokens, then for money, if
 * more was used than held; JobRated. Together they settle every hold of the job exactly once: token caps at the tokens
 * used, request caps at 1, both at 0 when no attempt started, money caps at the charge.
 *
 * `book` is the one the admission named; admission lets in only what it prices, so work without a price is a bug here
 * and throws, as does usage that is not sound.
 */
export function decideRating(job: EndedJob, book: PriceBook): Draft[] {
  if (book.hash !== job.priceBookHash) throw new Error(`Job ${job.jobId} is not priced by book ${book.hash}`)
  const rating = ratingOf(job, book)
  if (!rating.priced) {
    throw new Error(
      `Job ${job.jobId} was admitted but book ${book.hash} does not price ${Object.values(rating.missing).join(' ')}`,
    )
  }
  const { tenantId, jobId, attempt } = job
  const tokensUsed = tokensOf(attempt?.usage ?? noUsage)
  return [
    ...(attempt ? [usageMetered(job, attempt, tokensUsed)] : []),
    ...exceeded(job, 'tokens', job.tokensHeld, tokensUsed),
    ...exceeded(job, 'money', job.heldPico, rating.chargedPico),
    { eventId: ratedEventIdOf(tenantId, jobId), tenantId, ...jobRated(job, rating, usageEventIdOf(tenantId, jobId)) },
  ]
}

/** What the job costs under a book, be it the one it was admitted with or another. */
export const ratingOf = (job: EndedJob, book: PriceBook): Rating =>
  rate(book, { ...job, usage: job.attempt?.usage ?? null })

/** The rated fact of a job; `usageEventId` is that of its usage fact and is used only if an attempt started. */
export function jobRated(job: EndedJob, rating: Rating & { priced: true }, usageEventId: string): JobRatedBody {
  const { attempt } = job
  return {
    type: 'JobRated',
    jobId: job.jobId,
    memberId: job.memberId,
    capability: job.capability,
    outcome: job.outcome,
    attempts: attempt?.attemptNo ?? 0,
    currency: job.currency,
    priceBookHash: job.priceBookHash,
    billingPeriod: job.billingPeriod,
    admittedAt: job.admittedAt,
    usageEventId: attempt && usageEventId,
    provider: attempt?.provider ?? null,
    model: attempt?.model ?? null,
    keyOwner: attempt?.keyOwner ?? null,
    chargedPico: rating.chargedPico,
    providerCostPico: rating.providerCostPico,
    lines: rating.lines,
    heldPico: job.heldPico,
    settlements: settlements(job.caps, {
      requests: attempt ? 1n : 0n,
      ...(attempt ? {} : { tokens: 0n }),
      money: rating.chargedPico,
    }),
  }
}

function usageMetered(job: EndedJob, attempt: RatedAttempt, tokensUsed: bigint): Draft {
  const { attemptNo, attemptId, provider, model, keyOwner, keyId, inputBytes, outputBytes, durationMs } = attempt
  const usage = attempt.usage ?? noUsage
  return {
    type: 'UsageMetered',
    eventId: usageEventIdOf(job.tenantId, job.jobId),
    tenantId: job.tenantId,
    jobId: job.jobId,
    memberId: job.memberId,
    capability: job.capability,
    attemptNo,
    attemptId,
    provider,
    model,
    keyOwner,
    keyId,
    source: attempt.usage?.source ?? 'absent',
    inputUncachedTokens: usage.inputUncachedTokens,
    inputCacheReadTokens: usage.inputCacheReadTokens,
    inputCacheWriteTokens: usage.inputCacheWriteTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.reasoningTokens,
    inputBytes,
    outputBytes,
    durationMs,
    rawUsage: attempt.usage?.raw ?? null,
    tokensHeld: job.tokensHeld,
    settlements: settlements(job.caps, { tokens: tokensUsed }),
  }
}

function exceeded(job: EndedJob, metric: 'tokens' | 'money', held: bigint, actual: bigint): Draft[] {
  if (actual <= held) return []
  const { tenantId, jobId } = job
  const eventId = exceededEventIdOf(tenantId, jobId, metric)
  return [{ type: 'HoldExceeded', eventId, tenantId, jobId, metric, held, actual, excess: actual - held }]
}

/** Settles the holds of the metrics that are given; the others are left to another fact. */
function settlements(
  caps: readonly JobAdmittedCapHold[],
  settled: Partial<Record<'requests' | 'tokens' | 'money', bigint>>,
): JobRatedSettlement[] {
  return caps.flatMap(({ capId, capVersion, periodStart, metric, held }) => {
    // A metric of a newer writer is counted as money, as admission does, so that its hold is given up somewhere.
    const amount = settled[metric === 'unknown' ? 'money' : metric]
    return amount === undefined ? [] : [{ capId, capVersion, periodStart, metric, held, settled: amount }]
  })
}
