/** Turns what a job used into the lines of its charge. The same function serves the live system and replay. */
import type { JobRatedLineKind, JobRatedRatedLine, UsageMeteredBody } from '../schemas/events.generated.ts'
import { lineIdFrom } from '../schemas/ids.ts'
import type { Pico } from '../schemas/units.ts'
import { entryFor, type KeyOwner, type PricedWork, ratesFor } from './lookup.ts'
import type { PriceBook, Rates } from './price-book.ts'

/** Disjoint token buckets; reasoning is a part of output. All at least 0. */
export type UsageBuckets = Pick<
  UsageMeteredBody,
  'inputUncachedTokens' | 'inputCacheReadTokens' | 'inputCacheWriteTokens' | 'outputTokens' | 'reasoningTokens'
>

/** How an admitted job ended. */
export type RatedOutcome = 'succeeded' | 'failed' | 'cancelled'

export type RatedWork = {
  tenantId: string
  jobId: string
  capability: string
  outcome: RatedOutcome
  /** The one attempt that is rated; null when none started. */
  attempt: { provider: string; model: string; keyOwner: KeyOwner } | null
  /** What the attempt used; null when nobody reported it. */
  usage: UsageBuckets | null
  /** Most the job may be charged, as its caller said; null for no such bound. */
  maxCharge: Pico | null
}

export type Rating =
  | { priced: true; lines: JobRatedRatedLine[]; chargedPico: Pico; providerCostPico: Pico | null }
  | { priced: false; missing: PricedWork }

/**
 * Rates one ended job. A job that succeeded pays its request and its tokens; one that was cancelled pays the same if
 * its usage is known, else nothing; one that failed, or never started an attempt, pays nothing. Under the tenant's own
 * or an ancestor's key the per-request part is the `platform_fee`. Reasoning tokens are part of output and are never
 * priced again. The provider's cost is that of the rated attempt, whoever pays it; 0 when no attempt started, null
 * when the book does not say.
 *
 * A provider can use more than it was allowed to. What then passes `maxCharge` is taken back by a line of its own, the
 * `max_charge_credit`, so that the other lines still say what was used, under every price book.
 *
 * Amounts are exact: pico-units, no rounding. A line of quantity 0 or price 0 is left out, since it cannot change the
 * charge; a charge of 0 therefore has no lines. Work that the book does not price is unpriced, never 0, also when
 * nothing would have been charged. Throws RangeError for usage that is not sound.
 */
export function rate(book: PriceBook, work: RatedWork): Rating {
  const { attempt, usage } = work
  if (usage && !isSoundUsage(usage)) throw new RangeError(`The usage of ${work.jobId} cannot be true`)
  if (!attempt) return { priced: true, lines: [], chargedPico: 0n, providerCostPico: 0n }
  const entry = entryFor(book, work.capability, attempt.provider, attempt.model)
  const rates = entry && ratesFor(entry, attempt.keyOwner)
  if (!entry || !rates) {
    const { provider, model, keyOwner } = attempt
    return { priced: false, missing: { capability: work.capability, provider, model, keyOwner } }
  }
  const isCharged = work.outcome === 'succeeded' || (work.outcome === 'cancelled' && usage !== null)
  const requestKind = attempt.keyOwner === 'platform' ? 'request' : 'platform_fee'
  const charges = isCharged ? chargeLines(work, requestKind, rates, usage ?? noUsage) : []
  const lines = [...charges, ...creditLines(work, sum(charges.map((line) => line.amountPico)))]
  return {
    priced: true,
    lines,
    chargedPico: sum(lines.map((line) => line.amountPico)),
    providerCostPico: entry.cost && amountPico(entry.cost, usage ?? noUsage),
  }
}

/** All tokens of the disjoint buckets together: what a token cap counts. */
export const tokensOf = (usage: UsageBuckets): bigint =>
  usage.inputUncachedTokens + usage.inputCacheReadTokens + usage.inputCacheWriteTokens + usage.outputTokens

export const noUsage: UsageBuckets = {
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

type Priced = { kind: JobRatedLineKind; quantity: bigint; pricePico: Pico }

function chargeLines(
  work: RatedWork,
  requestKind: 'request' | 'platform_fee',
  rates: Rates,
  usage: UsageBuckets,
): JobRatedRatedLine[] {
  return priced(requestKind, rates, usage)
    .filter((line) => line.quantity > 0n && line.pricePico > 0n)
    .map((line) => ratedLine(work, line))
}

function creditLines(work: RatedWork, chargedPico: Pico): JobRatedRatedLine[] {
  if (work.maxCharge === null || chargedPico <= work.maxCharge) return []
  return [ratedLine(work, { kind: 'max_charge_credit', quantity: 1n, pricePico: work.maxCharge - chargedPico })]
}

const ratedLine = ({ tenantId, jobId }: RatedWork, line: Priced): JobRatedRatedLine => ({
  lineId: lineIdFrom(tenantId, jobId, line.kind, 0),
  ...line,
  amountPico: line.quantity * line.pricePico,
})

const priced = (requestKind: 'request' | 'platform_fee', rates: Rates, usage: UsageBuckets): Priced[] => [
  { kind: requestKind, quantity: 1n, pricePico: rates.requestPico },
  { kind: 'input_uncached', quantity: usage.inputUncachedTokens, pricePico: rates.inputUncachedTokenPico },
  { kind: 'input_cache_read', quantity: usage.inputCacheReadTokens, pricePico: rates.inputCacheReadTokenPico },
  { kind: 'input_cache_write', quantity: usage.inputCacheWriteTokens, pricePico: rates.inputCacheWriteTokenPico },
  { kind: 'output', quantity: usage.outputTokens, pricePico: rates.outputTokenPico },
]

const amountPico = (rates: Rates, usage: UsageBuckets): Pico =>
  sum(priced('request', rates, usage).map((part) => part.quantity * part.pricePico))

const sum = (amounts: readonly Pico[]): Pico => amounts.reduce((total, amount) => total + amount, 0n)

/**
 * Most tokens of one bucket that a report is believed to say of one job: a thousand times those of the longest text, and
 * little enough for every sum. Of a tenant's day a bucket is summed in an Avro long, which has room for 9.2 × 10⁹ such jobs,
 * 106,000 a second. At the dearest price that a book may name, such a job costs 4 × 10²⁴ pico-units for its four buckets, and
 * an amount of 38 digits has room for 2.5 × 10¹³ of them.
 */
export const reportedTokensMax = 1_000_000_000n

/** Whether a provider's report can be true of one job: asked where it comes in, and never again of what is in the log. */
export function isCredibleUsage(usage: UsageBuckets): boolean {
  const { inputUncachedTokens, inputCacheReadTokens, inputCacheWriteTokens, outputTokens } = usage
  const most = [inputUncachedTokens, inputCacheReadTokens, inputCacheWriteTokens, outputTokens]
  return isSoundUsage(usage) && most.every((tokens) => tokens <= reportedTokensMax)
}

/**
 * Whether the figures can be rated: no bucket below 0 or above an Avro long, reasoning within output. What is in the log is,
 * also where it was reported before `reportedTokensMax` was held to.
 */
export function isSoundUsage(usage: UsageBuckets): boolean {
  const { inputUncachedTokens, inputCacheReadTokens, inputCacheWriteTokens, outputTokens, reasoningTokens } = usage
  const buckets = [inputUncachedTokens, inputCacheReadTokens, inputCacheWriteTokens, outputTokens, reasoningTokens]
  return buckets.every((tokens) => tokens >= 0n && tokens <= tokensMax) && reasoningTokens <= outputTokens
}

const tokensMax = 2n ** 63n - 1n
