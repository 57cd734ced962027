import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, type Json } from './canonical-json.ts'
import { entriesMax, hashOf, parsePriceBook } from './price-book.ts'
import { starterBookJson } from './starter-book.ts'

const rates = (perRequest: string, perMillion: string) => ({
  perRequest,
  perMillionInputTokens: perMillion,
  perMillionCacheReadTokens: perMillion,
  perMillionCacheWriteTokens: perMillion,
  perMillionOutputTokens: perMillion,
})
const entry = {
  capability: 'c',
  provider: 'p',
  model: '*',
  price: rates('0.0002', '0.15'),
  ownKeyPrice: rates('0', '0'),
  cost: null,
}
const book = { name: 'b', currency: 'USD', effectiveFrom: '2026-01-01T00:00:00Z', entries: [entry] }

const problemsOf = (value: unknown) => {
  const parsed = parsePriceBook(typeof value === 'string' ? value : JSON.stringify(value))
  return parsed.ok ? [] : parsed.problems
}

test('a book is read exactly, to the pico-unit', () => {
  const parsed = parsePriceBook(JSON.stringify(book))
  expect(parsed).toEqual({
    ok: true,
    canonical:
      '{"currency":"USD","effectiveFrom":"2026-01-01T00:00:00Z","entries":[{"capability":"c","cost":null,"model":"*",' +
      '"ownKeyPrice":{"perMillionCacheReadTokens":"0","perMillionCacheWriteTokens":"0","perMillionInputTokens":"0",' +
      '"perMillionOutputTokens":"0","perRequest":"0"},"price":{"perMillionCacheReadTokens":"0.15",' +
      '"perMillionCacheWriteTokens":"0.15","perMillionInputTokens":"0.15","perMillionOutputTokens":"0.15",' +
      '"perRequest":"0.0002"},"provider":"p"}],"name":"b"}',
    book: {
      // From `printf '%s' … | sha256sum` over the text above.
      hash: '40448fe34d26ff198614b8dd360358556e6f96af940b884bbb0bdee89f91a023',
      name: 'b',
      currency: 'USD',
      effectiveFrom: 1_767_225_600_000_000n,
      entries: [
        {
          capability: 'c',
          provider: 'p',
          model: '*',
          price: {
            requestPico: 200_000_000n,
            inputUncachedTokenPico: 150_000n,
            inputCacheReadTokenPico: 150_000n,
            inputCacheWriteTokenPico: 150_000n,
            outputTokenPico: 150_000n,
          },
          ownKeyPrice: {
            requestPico: 0n,
            inputUncachedTokenPico: 0n,
            inputCacheReadTokenPico: 0n,
            inputCacheWriteTokenPico: 0n,
            outputTokenPico: 0n,
          },
          cost: null,
        },
      ],
    },
  })
})

test('the hash is that of the canonical text, however the book was written', () => {
  const turned = JSON.stringify(Object.fromEntries(Object.entries(book).reverse()), null, 2)
  const [a, b] = [parsePriceBook(JSON.stringify(book)), parsePriceBook(turned)]
  if (!a.ok || !b.ok) throw new Error('not read')
  expect(b.book.hash).toBe(a.book.hash)
  expect(hashOf(b.canonical)).toBe(b.book.hash)
})

test('every problem is told at once', () => {
  const wrong = {
    name: ' ',
    currency: 'usd',
    effectiveFrom: '2026-02-30T00:00:00Z',
    note: 'x',
    entries: [
      { ...entry, capability: '', price: { ...rates('-1', '0.15'), perRequests: '1' }, cost: rates('1', '1e3') },
      7,
      { provider: 'p' },
    ],
  }
  expect(problemsOf(wrong)).toEqual([
    'book: "note" is not a known field',
    'name: 1 to 200 printable characters',
    'currency: three capital letters of ISO 4217',
    'effectiveFrom: no such time',
    'entries[0].capability: 1 to 200 printable characters',
    'entries[0].price: "perRequests" is not a known field',
    'entries[0].price.perRequest: a decimal string in main units such as "0.15"',
    ...['Input', 'CacheRead', 'CacheWrite', 'Output'].map(
      (bucket) => `entries[0].cost.perMillion${bucket}Tokens: a decimal string in main units such as "0.15"`,
    ),
    'entries[1]: an object',
    ...['capability', 'model', 'price', 'ownKeyPrice', 'cost'].map((name) => `entries[2]: ${name} is missing`),
  ])
})

test.for([
  ['text that is not JSON', '{', 'book: not JSON'],
  ['a book that is a list', '[]', 'book: an object'],
  ['no entries', { ...book, entries: [] }, 'entries: at least 1'],
  [
    'too many entries',
    { ...book, entries: Array.from({ length: entriesMax + 1 }, () => 1) },
    `entries: at most ${entriesMax}, not 10001`,
  ],
  ['entries that are no list', { ...book, entries: {} }, 'entries: a list'],
  [
    'two entries for the same work',
    { ...book, entries: [entry, { ...entry, cost: rates('1', '1') }] },
    'entries[1]: prices the same work as entries[0]',
  ],
  [
    'a number for an amount',
    { ...book, entries: [{ ...entry, price: { ...entry.price, perRequest: 0.1 } }] },
    'entries[0].price.perRequest: a decimal string in main units such as "0.15"',
  ],
  [
    'a token price finer than a pico-unit',
    { ...book, entries: [{ ...entry, price: { ...entry.price, perMillionOutputTokens: '0.0000001' } }] },
    'entries[0].price.perMillionOutputTokens: at most 6 decimals, so that one token costs a whole number of pico-units',
  ],
  [
    'an amount beyond the bound',
    { ...book, entries: [{ ...entry, price: { ...entry.price, perRequest: '1000000000.000000000001' } }] },
    'entries[0].price.perRequest: at most 1000000000',
  ],
  [
    'a local time',
    { ...book, effectiveFrom: '2026-01-01T00:00:00+01:00' },
    'effectiveFrom: a time in UTC such as "2026-01-01T00:00:00Z"',
  ],
  ['a book of more than 8 MiB', `"${'x'.repeat(8 * 1024 * 1024)}"`, 'book: more than 8388608 bytes'],
] as const)('%s is refused', ([, value, problem]) => {
  expect(problemsOf(value)).toEqual([problem])
})

test('of very many problems the first hundred are told, and how many there are', () => {
  const problems = problemsOf({ ...book, entries: Array.from({ length: 1_000 }, () => 1) })
  expect(problems).toHaveLength(101)
  expect(problems.at(-1)).toBe('and 900 more')
})

test('an entry that names a prototype field is not fooled by it', () => {
  expect(problemsOf(`{"__proto__": 1, ${JSON.stringify(book).slice(1)}`)).toEqual([
    'book: "__proto__" is not a known field',
  ])
  expect(problemsOf({ ...book, entries: [{ ...entry, price: 'constructor' }] })).toEqual([
    'entries[0].price: an object',
  ])
})

test('whatever comes in, an answer comes out', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(parsePriceBook(text).ok).toBe(false)
    }),
    { numRuns: 500 },
  )
})

test('the canonical text means the same and does not depend on the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (made) => {
      const value = JSON.parse(JSON.stringify(made)) as Json
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(value)
      expect(canonicalJson(turned(value))).toBe(text)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
    }),
  )
})

/** The same value with the keys of every object the other way round. */
function turned(value: Json): Json {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(turned)
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, field]) => [name, turned(field)]),
  )
}

test('what has no canonical text is an error, not another text', () => {
  expect(() => canonicalJson(Number.NaN)).toThrow(RangeError)
  let deep: Json = 1
  for (let depth = 0; depth < 64; depth++) deep = [deep]
  expect(() => canonicalJson(deep)).toThrow(RangeError)
})

test('the starter book is one, and is published as it stands', () => {
  const parsed = parsePriceBook(starterBookJson())
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  expect(parsed.canonical).toBe(starterBookJson())
  expect(parsed.book.entries.map(({ capability, provider, model }) => `${capability} ${provider} ${model}`)).toEqual([
    'classify.category local *',
    'classify.sentiment local *',
    'generate.text scripted *',
  ])
})
