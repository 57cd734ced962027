import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lineIdFrom } from '../schemas/ids.ts'
import { entryFor, type KeyOwner } from './lookup.ts'
import { mostPico } from './most.ts'
import { type PriceBook, parsePriceBook } from './price-book.ts'
import {
  isCredibleUsage,
  isSoundUsage,
  noUsage,
  type RatedWork,
  rate,
  reportedTokensMax,
  tokensOf,
  type UsageBuckets,
} from './rate.ts'

type Prices = [perRequest: string, input: string, cacheRead: string, cacheWrite: string, output: string]
const rates = ([perRequest, input, cacheRead, cacheWrite, output]: Prices) => ({
  perRequest,
  perMillionInputTokens: input,
  perMillionCacheReadTokens: cacheRead,
  perMillionCacheWriteTokens: cacheWrite,
  perMillionOutputTokens: output,
})
const free: Prices = ['0', '0', '0', '0', '0']

function bookOf(
  ...entries: { model: string; price?: Prices; ownKeyPrice?: Prices; cost?: Prices | null }[]
): PriceBook {
  const parsed = parsePriceBook(
    JSON.stringify({
      name: 'b',
      currency: 'USD',
      effectiveFrom: '2026-01-01T00:00:00Z',
      entries: entries.map(({ model, price = free, ownKeyPrice = free, cost = null }) => ({
        capability: 'c',
        provider: 'p',
        model,
        price: rates(price),
        ownKeyPrice: rates(ownKeyPrice),
        cost: cost && rates(cost),
      })),
    }),
  )
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.book
}

const usage = (
  ...[input = 0n, cacheRead = 0n, cacheWrite = 0n, output = 0n, reasoning = 0n]: bigint[]
): UsageBuckets => ({
  inputUncachedTokens: input,
  inputCacheReadTokens: cacheRead,
  inputCacheWriteTokens: cacheWrite,
  outputTokens: output,
  reasoningTokens: reasoning,
})

const work: RatedWork = {
  tenantId: 't',
  jobId: 'j',
  capability: 'c',
  outcome: 'succeeded',
  attempt: { provider: 'p', model: 'm', keyOwner: 'platform' },
  usage: usage(10n, 20n, 30n, 40n, 15n),
  maxCharge: null,
}
const underKeyOf = (keyOwner: KeyOwner): RatedWork => ({ ...work, attempt: { provider: 'p', model: 'm', keyOwner } })

const book = bookOf({
  model: '*',
  price: ['0.0002', '0.15', '0.075', '0.2', '0.6'],
  ownKeyPrice: ['0.00005', '0', '0', '0', '0.01'],
  cost: ['0.0001', '0.1', '0.05', '0.1', '0.4'],
})

test('a job that succeeded pays its request and every bucket, and reasoning is not paid again', () => {
  const line = (kind: string, quantity: bigint, pricePico: bigint, amountPico: bigint) => ({
    lineId: lineIdFrom('t', 'j', kind, 0),
    kind,
    quantity,
    pricePico,
    amountPico,
  })
  expect(rate(book, work)).toEqual({
    priced: true,
    lines: [
      line('request', 1n, 200_000_000n, 200_000_000n),
      line('input_uncached', 10n, 150_000n, 1_500_000n),
      line('input_cache_read', 20n, 75_000n, 1_500_000n),
      line('input_cache_write', 30n, 200_000n, 6_000_000n),
      line('output', 40n, 600_000n, 24_000_000n),
    ],
    chargedPico: 233_000_000n,
    providerCostPico: 121_000_000n,
  })
})

test('what passes the most a caller accepts is taken back by a line of its own; the provider still gets its cost', () => {
  const chargedFor = (maxCharge: bigint | null, more: Partial<RatedWork> = {}) => {
    const rated = rate(book, { ...work, ...more, maxCharge })
    if (!rated.priced) throw new Error('unpriced')
    return rated
  }
  const full = chargedFor(null)
  const credited = chargedFor(200_000_000n)
  expect(credited.lines).toEqual([
    ...full.lines,
    {
      lineId: lineIdFrom('t', 'j', 'max_charge_credit', 0),
      kind: 'max_charge_credit',
      quantity: 1n,
      pricePico: -33_000_000n,
      amountPico: -33_000_000n,
    },
  ])
  expect(credited).toMatchObject({ chargedPico: 200_000_000n, providerCostPico: full.providerCostPico })
  expect(chargedFor(0n).chargedPico).toBe(0n)
  for (const enough of [233_000_000n, 10n ** 30n]) expect(chargedFor(enough)).toEqual(full)
  expect(chargedFor(0n, { outcome: 'failed' }).lines).toEqual([])
})

test.for(['tenant', 'ancestor'] as const)(
  "under the %s's key the platform's fee is paid, and the provider's cost is only shown",
  (keyOwner) => {
    const rated = rate(book, underKeyOf(keyOwner))
    if (!rated.priced) throw new Error('unpriced')
    expect(rated.lines.map(({ kind, amountPico }) => [kind, amountPico])).toEqual([
      ['platform_fee', 50_000_000n],
      ['output', 400_000n],
    ])
    expect(rated).toMatchObject({ chargedPico: 50_400_000n, providerCostPico: 121_000_000n })
  },
)

const charges: [name: string, work: Partial<RatedWork>, chargedPico: bigint, providerCostPico: bigint][] = [
  ['failed', { outcome: 'failed' }, 0n, 121_000_000n],
  ['failed without figures', { outcome: 'failed', usage: null }, 0n, 100_000_000n],
  ['cancelled with figures', { outcome: 'cancelled' }, 233_000_000n, 121_000_000n],
  ['cancelled without figures', { outcome: 'cancelled', usage: null }, 0n, 100_000_000n],
  ['cancelled before an attempt', { outcome: 'cancelled', usage: null, attempt: null }, 0n, 0n],
  ['failed before an attempt', { outcome: 'failed', usage: null, attempt: null }, 0n, 0n],
  ['succeeded with nothing used', { usage: noUsage }, 200_000_000n, 100_000_000n],
]
test.for(charges)('%s', ([, part, chargedPico, providerCostPico]) => {
  const rated = rate(book, { ...work, ...part })
  expect(rated).toMatchObject({ priced: true, chargedPico, providerCostPico })
  if (rated.priced) expect(rated.lines.length > 0).toBe(chargedPico > 0n)
})

test("a model's own entry comes before the provider's", () => {
  const both = bookOf(
    { model: '*', price: ['1', '0', '0', '0', '0'] },
    { model: 'm', price: ['2', '0', '0', '0', '0'] },
  )
  expect(rate(both, work)).toMatchObject({ chargedPico: 2_000_000_000_000n, providerCostPico: null })
  expect(entryFor(both, 'c', 'p', 'other')?.model).toBe('*')
  expect(entryFor(both, 'c', 'constructor', 'm')).toBeUndefined()
})

test('a price of 0 is a price; no price is a state of its own, whatever the outcome', () => {
  expect(rate(bookOf({ model: 'm' }), work)).toEqual({
    priced: true,
    lines: [],
    chargedPico: 0n,
    providerCostPico: null,
  })
  const other = bookOf({ model: 'other' })
  for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) {
    expect(rate(other, { ...work, outcome })).toEqual({
      priced: false,
      missing: { capability: 'c', provider: 'p', model: 'm', keyOwner: 'platform' },
    })
  }
  expect(rate(book, underKeyOf('unknown'))).toMatchObject({ priced: false })
})

test('the most is that of the dearest step, and one step without a price makes the whole unpriced', () => {
  const steps = [
    { capability: 'c', provider: 'p', model: 'm', keyOwner: 'platform' as const },
    { capability: 'c', provider: 'p', model: 'n', keyOwner: 'tenant' as const },
  ]
  // 200,000,000 + 100 × 200,000 (the dearest of the input prices) + 10 × 600,000.
  expect(mostPico(book, steps, { inputTokensMax: 100n, outputTokensMax: 10n })).toEqual({
    priced: true,
    pico: 226_000_000n,
  })
  const missing = { capability: 'c', provider: 'q', model: 'm', keyOwner: 'platform' as const }
  expect(mostPico(book, [...steps, missing], { inputTokensMax: 1n, outputTokensMax: 1n })).toEqual({
    priced: false,
    missing: [missing],
  })
  expect(mostPico(book, [], { inputTokensMax: 1n, outputTokensMax: 1n })).toEqual({ priced: false, missing: [] })
  expect(() => mostPico(book, steps, { inputTokensMax: -1n, outputTokensMax: 0n })).toThrow(RangeError)
})

test.for([
  ['a negative bucket', usage(-1n)],
  ['more reasoning than output', usage(0n, 0n, 0n, 1n, 2n)],
  ['more than an Avro long', usage(2n ** 63n)],
] as const)('%s is not sound usage and is never rated', ([, unsound]) => {
  expect([isSoundUsage(unsound), isCredibleUsage(unsound)]).toEqual([false, false])
  expect(() => rate(book, { ...work, usage: unsound })).toThrow(RangeError)
})

test('a report above all measure is not believed, but what the log says is rated all the same', () => {
  const [most, above] = [reportedTokensMax, reportedTokensMax + 1n]
  expect(isCredibleUsage(usage(most, most, most, most, most))).toBe(true)
  const tooMuch = [usage(above), usage(0n, above), usage(0n, 0n, above), usage(0n, 0n, 0n, above)]
  expect(tooMuch.map(isCredibleUsage)).toEqual([false, false, false, false])
  expect([...tooMuch, usage(2n ** 63n - 1n)].map((sound) => rate(book, { ...work, usage: sound }).priced)).toEqual(
    Array(5).fill(true),
  )
})

test('jobs of which each reports the most, at the dearest price, fit the sums of a day and of a cap', () => {
  const dearest: Prices = ['1000000000', '1000000000', '1000000000', '1000000000', '1000000000']
  const most = usage(reportedTokensMax, reportedTokensMax, reportedTokensMax, reportedTokensMax)
  const rating = rate(bookOf({ model: 'm', price: dearest }), { ...work, usage: most })
  if (!rating.priced) throw new Error('the job has no price')
  const jobsOfDay = 100_000n * 86_400n
  expect(reportedTokensMax * jobsOfDay).toBeLessThan(2n ** 63n)
  const jobsOfYear = jobsOfDay * 366n
  expect(rating.chargedPico * jobsOfYear).toBeLessThan(10n ** 38n)
  expect(tokensOf(most) * jobsOfYear).toBeLessThan(10n ** 38n)
})

const amount = (decimalsMax: number) =>
  fc
    .tuple(fc.integer({ min: 0, max: 999_999_999 }), fc.stringMatching(new RegExp(`^[0-9]{1,${decimalsMax}}$`)))
    .map(([units, decimals]) => `${units}.${decimals}`)
const prices: fc.Arbitrary<Prices> = fc.tuple(amount(12), amount(6), amount(6), amount(6), amount(6))
const keyOwners = fc.constantFrom<KeyOwner[]>('platform', 'tenant', 'ancestor')
const tokens = fc.oneof(fc.bigInt(0n, 2_000_000n), fc.bigInt(0n, 2n ** 60n))
const usages = fc
  .tuple(tokens, tokens, tokens, tokens, fc.nat(100))
  .map(([input, read, write, output, share]) => usage(input, read, write, output, (output * BigInt(share)) / 100n))
const twoBuckets = fc.tuple(usages, usages)

const chargeOf = (priced: PriceBook, keyOwner: KeyOwner, used: UsageBuckets | null): bigint => {
  const rated = rate(priced, { ...underKeyOf(keyOwner), usage: used })
  if (!rated.priced) throw new Error('unpriced')
  expect(rated.lines.reduce((sum, line) => sum + line.amountPico, 0n)).toBe(rated.chargedPico)
  expect(new Set(rated.lines.map(({ lineId }) => lineId)).size).toBe(rated.lines.length)
  return rated.chargedPico
}

test('the charge is exactly what fractions say', () => {
  fc.assert(
    fc.property(prices, prices, keyOwners, usages, (price, ownKeyPrice, keyOwner, used) => {
      const [request, ...perMillion] = (keyOwner === 'platform' ? price : ownKeyPrice).map(fraction)
      const quantities = [
        used.inputUncachedTokens,
        used.inputCacheReadTokens,
        used.inputCacheWriteTokens,
        used.outputTokens,
      ]
      const exact = perMillion
        .map((each, index) => over(each.top * (quantities[index] ?? 0n), each.bottom * 1_000_000n))
        .reduce((a, b) => over(a.top * b.bottom + b.top * a.bottom, a.bottom * b.bottom), request ?? over(0n, 1n))
      const chargedPico = chargeOf(bookOf({ model: '*', price, ownKeyPrice }), keyOwner, used)
      expect(chargedPico * exact.bottom).toBe(exact.top * 1_000_000_000_000n)
    }),
  )
})

type Fraction = { top: bigint; bottom: bigint }
const over = (top: bigint, bottom: bigint): Fraction => ({ top, bottom })
function fraction(decimal: string): Fraction {
  const [units = '0', decimals = ''] = decimal.split('.')
  return over(BigInt(units + decimals), 10n ** BigInt(decimals.length))
}

test('nothing that stays within the bounds is charged more than the most', () => {
  fc.assert(
    fc.property(
      prices,
      prices,
      keyOwners,
      usages,
      tokens,
      tokens,
      (price, ownKeyPrice, keyOwner, used, spareInput, spareOutput) => {
        const made = bookOf({ model: '*', price, ownKeyPrice })
        const inputTokensMax = tokensOf(used) - used.outputTokens + spareInput
        const outputTokensMax = used.outputTokens + spareOutput
        const step = { capability: 'c', provider: 'p', model: 'm', keyOwner }
        const most = mostPico(made, [step], { inputTokensMax, outputTokensMax })
        if (!most.priced) throw new Error('unpriced')
        expect(chargeOf(made, keyOwner, used)).toBeLessThanOrEqual(most.pico)
      },
    ),
  )
})

test('some usage within the bounds is charged the most: no hold is larger than it must be', () => {
  fc.assert(
    fc.property(prices, tokens, tokens, (price, inputTokensMax, outputTokensMax) => {
      const made = bookOf({ model: '*', price })
      const step = { capability: 'c', provider: 'p', model: 'm', keyOwner: 'platform' as const }
      const most = mostPico(made, [step], { inputTokensMax, outputTokensMax })
      const zero = [0n, 0n, 0n]
      const extremes = zero.map((_, index) => usage(...zero.with(index, inputTokensMax), outputTokensMax))
      const charged = extremes.map((used) => chargeOf(made, 'platform', used))
      const [dearest] = charged.sort((a, b) => (a < b ? 1 : -1))
      expect(most).toEqual({ priced: true, pico: dearest })
    }),
  )
})

test('buckets add up, and more of anything never costs less', () => {
  fc.assert(
    fc.property(prices, prices, keyOwners, twoBuckets, (price, ownKeyPrice, keyOwner, [a, b]) => {
      const made = bookOf({ model: '*', price, ownKeyPrice })
      const both = usage(
        a.inputUncachedTokens + b.inputUncachedTokens,
        a.inputCacheReadTokens + b.inputCacheReadTokens,
        a.inputCacheWriteTokens + b.inputCacheWriteTokens,
        a.outputTokens + b.outputTokens,
      )
      const request = chargeOf(made, keyOwner, noUsage)
      const sum = chargeOf(made, keyOwner, a) + chargeOf(made, keyOwner, b) - request
      expect(chargeOf(made, keyOwner, both)).toBe(sum)
      expect(chargeOf(made, keyOwner, both)).toBeGreaterThanOrEqual(chargeOf(made, keyOwner, a))
      expect(chargeOf(made, keyOwner, { ...a, reasoningTokens: 0n })).toBe(chargeOf(made, keyOwner, a))
    }),
  )
})
