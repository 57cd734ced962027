/** A price book: what one unit of work costs, by capability, provider and model. Immutable, known by its hash. */
import type { Pico } from '../schemas/units.ts'

/** Prices in pico-units of the book's currency; all at least 0. */
export type Rates = {
  requestPico: Pico
  inputUncachedTokenPico: Pico
  inputCacheReadTokenPico: Pico
  inputCacheWriteTokenPico: Pico
  outputTokenPico: Pico
}

export type PriceEntry = {
  capability: string
  provider: string
  /** A model, or `*` for every model of the provider without an entry of its own. */
  model: string
  /** What the tenant pays when the platform's key is used. */
  price: Rates
  /** What the tenant pays when its own or an ancestor's key is used: the platform's fee. */
  ownKeyPrice: Rates
  /** What the provider charges whoever owns the key: shown, not charged; null when unknown. */
  cost: Rates | null
}

export type PriceBook = {
  hash: string
  name: string
  /** ISO 4217. */
  currency: string
  effectiveFrom: bigint
  entries: readonly PriceEntry[]
}
