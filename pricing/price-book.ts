/** A price book: what one unit of work costs, by capability, provider and model. Immutable, known by its hash. */
import { type EpochMicros, microsFromMs, type Pico, picoFromDecimal, picoPerUnit } from '../schemas/units.ts'
import { canonicalJson, hashOf, type Json } from './canonical-json.ts'

export { canonicalJson, hashOf } from './canonical-json.ts'

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
  /** SHA-256, in hex, of the book's canonical JSON. */
  hash: string
  name: string
  /** ISO 4217. */
  currency: string
  effectiveFrom: EpochMicros
  entries: readonly PriceEntry[]
}

/** `at`: a place in the book such as `entries[2].price`, or `book`. `problem` is left out where something is not as `expected` says. */
export type BookProblem = { at: string; problem?: string; expected: string }

/** `canonical`: the text to publish and keep, the one the hash is of. `problems`: what `wrong` says, as lines to read. */
export type ParsedPriceBook =
  | { ok: true; book: PriceBook; canonical: string }
  | { ok: false; problems: string[]; wrong: readonly BookProblem[] }

export const entriesMax = 10_000
export const bookBytesMax = 8 * 1024 * 1024
/** Values in the JSON of a book; an entry has 22. */
export const bookValuesMax = 30 * entriesMax
const problemsMax = 100
const nameCharsMax = 200
const tokensPerMillion = 1_000_000n
// Keeps quantity × price inside the 38 digits of the schemas' decimal for every quantity an Avro long can hold.
const amountUnitsMax = 1_000_000_000n

const bookFields = ['name', 'currency', 'effectiveFrom', 'entries'] as const
const entryFields = ['capability', 'provider', 'model', 'price', 'ownKeyPrice', 'cost'] as const
const ratesFields = [
  'perRequest',
  'perMillionInputTokens',
  'perMillionCacheReadTokens',
  'perMillionCacheWriteTokens',
  'perMillionOutputTokens',
] as const

/**
 * Reads a price book from JSON, exactly: amounts are decimal strings in main units, at most 10⁹, per-million prices
 * with at most 6 decimals so that one token costs a whole number of pico-units. The text need not be canonical; the
 * hash is that of its canonical form. Unknown and missing fields and a second entry for the same work are refused.
 * Bounds: 8 MiB, 10,000 entries. Reports every problem at once, up to 100. Never throws.
 */
export function parsePriceBook(json: string): ParsedPriceBook {
  const problems = new Problems()
  const value = readJson(json, problems)
  const book = value === undefined ? undefined : readBook(value, problems)
  if (value === undefined || book === undefined || problems.count > 0) return problems.refusal()
  const canonical = canonicalJson(value)
  return { ok: true, book: { hash: hashOf(canonical), ...book }, canonical }
}

class Problems {
  count = 0
  readonly #first: BookProblem[] = []
  add(at: string, expected: string, problem?: string): undefined {
    this.count++
    if (this.#first.length < problemsMax) this.#first.push({ at, expected, ...(problem !== undefined && { problem }) })
  }
  refusal(): ParsedPriceBook {
    const told = this.#first.map(({ at, problem, expected }) => `${at}: ${problem ?? expected}`)
    if (this.count <= problemsMax) return { ok: false, problems: told, wrong: this.#first }
    const more = `${this.count - problemsMax} more`
    const others = { at: 'book', problem: `${more} things are wrong with it`, expected: 'a book without them' }
    return { ok: false, problems: [...told, `and ${more}`], wrong: [...this.#first, others] }
  }
}

type JsonObject = { readonly [name: string]: Json }

function readJson(json: string, problems: Problems): Json | undefined {
  if (Buffer.byteLength(json) > bookBytesMax)
    return problems.add('book', `at most ${bookBytesMax} bytes`, `more than ${bookBytesMax} bytes`)
  try {
    return JSON.parse(json) as Json
  } catch {
    return problems.add('book', 'JSON', 'not JSON')
  }
}

function readBook(value: Json, problems: Problems): Omit<PriceBook, 'hash'> | undefined {
  const fields = readObject(value, 'book', bookFields, problems)
  if (!fields) return undefined
  const name = readName(fields['name'], 'name', problems)
  const currency = readText(fields['currency'], 'currency', /^[A-Z]{3}$/, 'three capital letters of ISO 4217', problems)
  const effectiveFrom = readInstant(fields['effectiveFrom'], problems)
  const entries = readEntries(fields['entries'], problems)
  if (name === undefined || currency === undefined || effectiveFrom === undefined || !entries) return undefined
  return { name, currency, effectiveFrom, entries }
}

function readEntries(value: Json | undefined, problems: Problems): PriceEntry[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) return problems.add('entries', 'a list')
  if (value.length === 0) return problems.add('entries', 'at least 1')
  if (value.length > entriesMax) return problems.add('entries', `at most ${entriesMax}, not ${value.length}`)
  const firstAt = new Map<string, number>()
  const entries: PriceEntry[] = []
  for (const [index, item] of value.entries()) {
    const at = `entries[${index}]`
    const entry = readEntry(item, at, problems)
    if (!entry) continue
    const work = canonicalJson([entry.capability, entry.provider, entry.model])
    const first = firstAt.get(work)
    if (first === undefined) firstAt.set(work, index)
    else problems.add(at, 'one entry for a capability, provider and model', `prices the same work as entries[${first}]`)
    entries.push(entry)
  }
  return entries
}

function readEntry(value: Json, at: string, problems: Problems): PriceEntry | undefined {
  const fields = readObject(value, at, entryFields, problems)
  if (!fields) return undefined
  const capability = readName(fields['capability'], `${at}.capability`, problems)
  const provider = readName(fields['provider'], `${at}.provider`, problems)
  const model = readName(fields['model'], `${at}.model`, problems)
  const price = readRates(fields['price'], `${at}.price`, problems)
  const ownKeyPrice = readRates(fields['ownKeyPrice'], `${at}.ownKeyPrice`, problems)
  const cost = fields['cost'] === null ? null : readRates(fields['cost'], `${at}.cost`, problems)
  if (capability === undefined || provider === undefined || model === undefined) return undefined
  if (!price || !ownKeyPrice || cost === undefined) return undefined
  return { capability, provider, model, price, ownKeyPrice, cost }
}

function readRates(value: Json | undefined, at: string, problems: Problems): Rates | undefined {
  if (value === undefined) return undefined
  const fields = readObject(value, at, ratesFields, problems)
  if (!fields) return undefined
  const requestPico = readAmount(fields['perRequest'], `${at}.perRequest`, problems)
  const perToken = (name: (typeof ratesFields)[number]) => readTokenPrice(fields[name], `${at}.${name}`, problems)
  const inputUncachedTokenPico = perToken('perMillionInputTokens')
  const inputCacheReadTokenPico = perToken('perMillionCacheReadTokens')
  const inputCacheWriteTokenPico = perToken('perMillionCacheWriteTokens')
  const outputTokenPico = perToken('perMillionOutputTokens')
  if (requestPico === undefined || inputUncachedTokenPico === undefined || outputTokenPico === undefined)
    return undefined
  if (inputCacheReadTokenPico === undefined || inputCacheWriteTokenPico === undefined) return undefined
  return { requestPico, inputUncachedTokenPico, inputCacheReadTokenPico, inputCacheWriteTokenPico, outputTokenPico }
}

/** A missing field is reported by readObject, so the readers below only pass it on. */
function readObject(value: Json, at: string, known: readonly string[], problems: Problems): JsonObject | undefined {
  if (!isObject(value)) return problems.add(at, 'an object')
  const fields = `the fields ${known.join(', ')}`
  for (const name of known) if (!Object.hasOwn(value, name)) problems.add(at, fields, `${name} is missing`)
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      problems.add(at, fields, `${JSON.stringify(name.slice(0, nameCharsMax))} is not a known field`)
  }
  return value
}

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const readName = (value: Json | undefined, at: string, problems: Problems) =>
  readText(
    value,
    at,
    /^[^\p{C}\s](?:[^\p{C}]{0,198}[^\p{C}\s])?$/u,
    `1 to ${nameCharsMax} printable characters`,
    problems,
  )

function readText(value: Json | undefined, at: string, form: RegExp, means: string, problems: Problems) {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || !form.test(value)) return problems.add(at, means)
  return value
}

function readInstant(value: Json | undefined, problems: Problems): EpochMicros | undefined {
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z$/
  const text = readText(value, 'effectiveFrom', form, 'a time in UTC such as "2026-01-01T00:00:00Z"', problems)
  if (text === undefined) return undefined
  const ms = Date.parse(text)
  // Date.parse moves 30 February into March; writing the time again shows it.
  const isReal = !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 19) === text.slice(0, 19)
  return isReal ? microsFromMs(ms) : problems.add('effectiveFrom', 'a time of the calendar', 'no such time')
}

function readAmount(value: Json | undefined, at: string, problems: Problems): Pico | undefined {
  if (value === undefined) return undefined
  const pico = typeof value === 'string' ? picoFromDecimal(value) : undefined
  if (pico === undefined) return problems.add(at, 'a decimal string in main units such as "0.15"')
  return pico <= amountUnitsMax * picoPerUnit ? pico : problems.add(at, `at most ${amountUnitsMax}`)
}

function readTokenPrice(value: Json | undefined, at: string, problems: Problems): Pico | undefined {
  const perMillion = readAmount(value, at, problems)
  if (perMillion === undefined) return undefined
  return perMillion % tokensPerMillion === 0n
    ? perMillion / tokensPerMillion
    : problems.add(at, 'at most 6 decimals, so that one token costs a whole number of pico-units')
}
