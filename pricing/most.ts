/** The most a job could be charged, known before it runs: what admission holds and an estimate shows. */
import type { Pico } from '../schemas/units.ts'
import { entryFor, type PricedWork, ratesFor } from './lookup.ts'
import type { PriceBook } from './price-book.ts'

/** `missing`: the work the book has no price for; empty only when there were no steps at all. */
export type Most = { priced: true; pico: Pico } | { priced: false; missing: PricedWork[] }

/** Upper bounds of what one job can use: all input buckets together, and output with reasoning. At least 0. */
export type TokenBounds = { inputTokensMax: bigint; outputTokensMax: bigint }

/**
 * The most that any one of the steps could charge in pico-units: its request, all input at its dearest input price,
 * all output. A job is charged for one step only, so the dearest step bounds it. A single step without a price makes
 * the whole unpriced: it could be the one that runs. Throws RangeError for a negative bound.
 */
export function mostPico(book: PriceBook, steps: readonly PricedWork[], bounds: TokenBounds): Most {
  if (bounds.inputTokensMax < 0n || bounds.outputTokensMax < 0n) throw new RangeError('A token bound is negative')
  let pico = 0n
  const missing: PricedWork[] = []
  for (const step of steps) {
    const entry = entryFor(book, step.capability, step.provider, step.model)
    const rates = entry && ratesFor(entry, step.keyOwner)
    if (!rates) {
      missing.push(step)
      continue
    }
    const dearestInputPico = max(
      rates.inputUncachedTokenPico,
      max(rates.inputCacheReadTokenPico, rates.inputCacheWriteTokenPico),
    )
    const stepPico =
      rates.requestPico + bounds.inputTokensMax * dearestInputPico + bounds.outputTokensMax * rates.outputTokenPico
    pico = max(pico, stepPico)
  }
  return steps.length === 0 || missing.length > 0 ? { priced: false, missing } : { priced: true, pico }
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
