/** The verifier's own reading of a price book and its own arithmetic, from the book's JSON alone. */
import { createHash } from 'node:crypto'
import type { Buckets, KeyOwner } from './events.ts'

const perMillion = 1_000_000n

/** Amounts as the book states them, in pico-units: per request, and per million tokens of each bucket. */
type Prices = { request: bigint; input: bigint; cacheRead: bigint; cacheWrite: bigint; output: bigint }
type Entry = {
  capability: string
  provider: string
  model: string
  price: Prices
  ownKeyPrice: Prices
  cost: Prices | null
}
export type Book = { hash: string; currency: string; effectiveFrom: bigint; entries: Entry[] }

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Throws an Error for a text that is not a price book. */
export function readBook(text: string): Book {
  const book: unknown = JSON.parse(text)
  if (!isRecord(book) || !Array.isArray(book['entries'])) throw new Error('not a price book')
  const { currency, effectiveFrom } = book
  if (typeof currency !== 'string' || typeof effectiveFrom !== 'string') throw new Error('not a price book')
  const ms = Date.parse(effectiveFrom)
  if (Number.isNaN(ms)) throw new Error(`no time: ${effectiveFrom}`)
  return { hash: sha256(text), currency, effectiveFrom: BigInt(ms) * 1_000n, entries: book['entries'].map(readEntry) }
}

/** The text a book is hashed as: the keys of every object in order, nothing between. */
export function canonical(text: string): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted)
    if (!isRecord(value)) return value
    const names = Object.keys(value).sort()
    return Object.fromEntries(names.map((name) => [name, sorted(value[name])]))
  }
  return JSON.stringify(sorted(JSON.parse(text)))
}

function readEntry(entry: unknown): Entry {
  if (!isRecord(entry)) throw new Error('an entry is not an object')
  const { capability, provider, model } = entry
  if (typeof capability !== 'string' || typeof provider !== 'string' || typeof model !== 'string') {
    throw new Error('an entry does not say what it prices')
  }
  const price = readPrices(entry['price'])
  const ownKeyPrice = readPrices(entry['ownKeyPrice'])
  const cost = entry['cost'] === null ? null : readPrices(entry['cost'])
  return { capability, provider, model, price, ownKeyPrice, cost }
}

function readPrices(prices: unknown): Prices {
  if (!isRecord(prices)) throw new Error('prices are not an object')
  return {
    request: pico(prices['perRequest']),
    input: pico(prices['perMillionInputTokens']),
    cacheRead: pico(prices['perMillionCacheReadTokens']),
    cacheWrite: pico(prices['perMillionCacheWriteTokens']),
    output: pico(prices['perMillionOutputTokens']),
  }
}

function pico(amount: unknown): bigint {
  if (typeof amount !== 'string' || !/^\d+(\.\d{1,12})?$/.test(amount)) throw new Error(`no amount: ${String(amount)}`)
  const [units = '', fraction = ''] = amount.split('.')
  return BigInt(units + fraction.padEnd(12, '0'))
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const entryOf = (book: Book, capability: string, provider: string, model: string): Entry | undefined => {
  const ofProvider = book.entries.filter((entry) => entry.capability === capability && entry.provider === provider)
  return ofProvider.find((entry) => entry.model === model) ?? ofProvider.find((entry) => entry.model === '*')
}

const pricesOf = (entry: Entry, keyOwner: KeyOwner): Prices =>
  keyOwner === 'platform' ? entry.price : entry.ownKeyPrice

export type Charge = {
  lines: { kind: string; quantity: bigint; pricePico: bigint; amountPico: bigint }[]
  chargedPico: bigint
  providerCostPico: bigint | null
}

export type Work = { capability: string; provider: string; model: string; keyOwner: KeyOwner }

/**
 * What the work costs, and what of it passes the most the caller accepts; undefined when the book does not price it.
 * `isCharged` false leaves the provider's cost only.
 */
export function chargeOf(
  book: Book,
  work: Work,
  buckets: Buckets,
  { isCharged, maxCharge }: { isCharged: boolean; maxCharge: bigint | null },
): Charge | undefined {
  const entry = entryOf(book, work.capability, work.provider, work.model)
  if (!entry) return undefined
  const requestKind = work.keyOwner === 'platform' ? 'request' : 'platform_fee'
  const lines = isCharged ? linesOf(pricesOf(entry, work.keyOwner), buckets, requestKind) : []
  const excess = maxCharge === null ? 0n : total(lines) - maxCharge
  if (excess > 0n) lines.push({ kind: 'max_charge_credit', quantity: 1n, pricePico: -excess, amountPico: -excess })
  return {
    lines,
    chargedPico: total(lines),
    providerCostPico: entry.cost ? total(linesOf(entry.cost, buckets, 'request')) : null,
  }
}

function linesOf(prices: Prices, buckets: Buckets, requestKind: string): Charge['lines'] {
  const lines = [{ kind: requestKind, quantity: 1n, pricePico: prices.request, amountPico: prices.request }]
  const tokens = (kind: string, quantity: bigint, price: bigint) => {
    const exact = quantity * price
    if (exact % perMillion !== 0n)
      throw new Error(`${quantity} tokens of ${kind} do not cost a whole number of pico-units`)
    lines.push({ kind, quantity, pricePico: price / perMillion, amountPico: exact / perMillion })
  }
  tokens('input_uncached', buckets.inputUncachedTokens, prices.input)
  tokens('input_cache_read', buckets.inputCacheReadTokens, prices.cacheRead)
  tokens('input_cache_write', buckets.inputCacheWriteTokens, prices.cacheWrite)
  tokens('output', buckets.outputTokens, prices.output)
  return lines.filter((line) => line.amountPico !== 0n)
}

const total = (lines: Charge['lines']): bigint => lines.reduce((sum, line) => sum + line.amountPico, 0n)

/** The most a job within the bounds can cost at any of the steps; undefined when one of them is not priced. */
export function mostOf(book: Book, steps: readonly Work[], inputMax: bigint, outputMax: bigint): bigint | undefined {
  const each = steps.map((step) => {
    const entry = entryOf(book, step.capability, step.provider, step.model)
    return entry && mostUnder(pricesOf(entry, step.keyOwner), inputMax, outputMax)
  })
  return each.length === 0 || each.includes(undefined)
    ? undefined
    : each.reduce((a, b) => ((a ?? 0n) > (b ?? 0n) ? a : b))
}

/** Every amount that a job of the capability could have been held at, whatever its route: a refusal does not name it. */
export const mostsOfAnyRoute = (book: Book, capability: string, inputMax: bigint, outputMax: bigint): Set<bigint> =>
  new Set(
    book.entries
      .filter((entry) => entry.capability === capability)
      .flatMap((entry) => [entry.price, entry.ownKeyPrice].map((prices) => mostUnder(prices, inputMax, outputMax))),
  )

function mostUnder(prices: Prices, inputMax: bigint, outputMax: bigint): bigint {
  const [dearest = 0n] = [prices.input, prices.cacheRead, prices.cacheWrite].sort(
    (a, b) => Number(b > a) - Number(b < a),
  )
  return prices.request + (inputMax * dearest + outputMax * prices.output) / perMillion
}
