/** Finds the entry of a price book that prices a piece of work. */
import type { PriceBook, PriceEntry, Rates } from './price-book.ts'

/** Whose provider key is used; `unknown` is what a newer writer's word reads as. */
export type KeyOwner = 'platform' | 'tenant' | 'ancestor' | 'unknown'

/** One piece of work that a book has to price. */
export type PricedWork = { capability: string; provider: string; model: string; keyOwner: KeyOwner }

type Index = Map<string, Map<string, Map<string, PriceEntry>>>

// Books never change, so the index of one can be kept as long as the book itself.
const indexes = new WeakMap<PriceBook, Index>()

/** The model's own entry, else the provider's `*` entry; undefined when the work is unpriced. */
export function entryFor(book: PriceBook, capability: string, provider: string, model: string): PriceEntry | undefined {
  const models = indexOf(book).get(capability)?.get(provider)
  return models?.get(model) ?? models?.get('*')
}

/** What the tenant pays under an entry; undefined for a key owner this build does not know: unpriced, never free. */
export function ratesFor(entry: PriceEntry, keyOwner: KeyOwner): Rates | undefined {
  if (keyOwner === 'unknown') return undefined
  return keyOwner === 'platform' ? entry.price : entry.ownKeyPrice
}

function indexOf(book: PriceBook): Index {
  const known = indexes.get(book)
  if (known) return known
  const index: Index = new Map()
  for (const entry of book.entries) {
    const providers = index.get(entry.capability) ?? new Map<string, Map<string, PriceEntry>>()
    const models = providers.get(entry.provider) ?? new Map<string, PriceEntry>()
    index.set(entry.capability, providers.set(entry.provider, models.set(entry.model, entry)))
  }
  indexes.set(book, index)
  return index
}
