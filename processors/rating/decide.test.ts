import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashOf, mostPico, noUsage, type PriceBook, parsePriceBook, tokensOf } from '../../pricing/index.ts'
import type { JobAdmittedCapHold, JobRatedSettlement } from '../../schemas/events.generated.ts'
import { idFrom, lineIdFrom } from '../../schemas/ids.ts'
import type { Draft } from '../processor.ts'
import {
  decideRating,
  type EndedJob,
  type RatedAttempt,
  type ReportedUsage,
  ratedEventIdOf,
  usageEventIdOf,
} from './decide.ts'

const rates = (request: string, token: string) => ({
  perRequest: request,
  perMillionInputTokens: token,
  perMillionCacheReadTokens: token,
  perMillionCacheWriteTokens: token,
  perMillionOutputTokens: token,
})

function book(name = 'b'): PriceBook {
  const entry = {
    capability: 'c',
    provider: 'p',
    model: '*',
    price: rates('0.001', '1'),
    ownKeyPrice: rates('0.0001', '0'),
    cost: rates('0', '0.5'),
  }
  const parsed = parsePriceBook(
    JSON.stringify({ name, currency: 'USD', effectiveFrom: '2026-01-01T00:00:00Z', entries: [entry] }),
  )
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.book
}
const prices = book()

const hold = (capId: string, metric: JobAdmittedCapHold['metric'], held: bigint): JobAdmittedCapHold => ({
  capId,
  capVersion: 3n,
  periodStart: 50n,
  periodEnd: 90n,
  metric,
  limit: 10n ** 15n,
  settledBefore: 0n,
  heldBefore: 0n,
  held,
})
const settled = (
  capId: string,
  metric: JobRatedSettlement['metric'],
  held: bigint,
  amount: bigint,
): JobRatedSettlement => ({
  capId,
  capVersion: 3n,
  periodStart: 50n,
  metric,
  held,
  settled: amount,
})

const used = (input: bigint, output: bigint, more: Partial<ReportedUsage> = {}): ReportedUsage => ({
  ...noUsage,
  source: 'provider',
  inputUncachedTokens: input,
  outputTokens: output,
  ...more,
})
const attempt: RatedAttempt = {
  attemptNo: 2,
  attemptId: 'att',
  provider: 'p',
  model: 'm',
  keyOwner: 'platform',
  keyId: 'k',
  usage: used(40n, 20n, { raw: '{"in":40,"out":20}' }),
  inputBytes: 160n,
  outputBytes: 80n,
  durationMs: 12n,
}
const job: EndedJob = {
  tenantId: 't',
  jobId: 'j',
  memberId: 'ann',
  capability: 'c',
  currency: 'USD',
  priceBookHash: prices.hash,
  billingPeriod: '2026-05',
  tokensHeld: 100n,
  heldPico: 1_100_000_000n,
  maxCharge: null,
  admittedAt: 77n,
  caps: [
    hold('a', 'requests', 1n),
    hold('b', 'tokens', 100n),
    hold('c', 'money', 1_100_000_000n),
    hold('d', 'tokens', 100n),
  ],
  outcome: 'succeeded',
  attempt,
}

const metered: Draft = {
  type: 'UsageMetered',
  eventId: idFrom('evt', 't', 'j', 'UsageMetered'),
  tenantId: 't',
  jobId: 'j',
  memberId: 'ann',
  capability: 'c',
  attemptNo: 2,
  attemptId: 'att',
  provider: 'p',
  model: 'm',
  keyOwner: 'platform',
  keyId: 'k',
  source: 'provider',
  inputUncachedTokens: 40n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 20n,
  reasoningTokens: 0n,
  inputBytes: 160n,
  outputBytes: 80n,
  durationMs: 12n,
  rawUsage: '{"in":40,"out":20}',
  tokensHeld: 100n,
  settlements: [settled('b', 'tokens', 100n, 60n), settled('d', 'tokens', 100n, 60n)],
}
const line = (kind: 'request' | 'input_uncached' | 'output', quantity: bigint, pricePico: bigint) => ({
  lineId: lineIdFrom('t', 'j', kind, 0),
  kind,
  quantity,
  pricePico,
  amountPico: quantity * pricePico,
})
const rated: Draft = {
  type: 'JobRated',
  eventId: idFrom('evt', 't', 'j', 'JobRated'),
  tenantId: 't',
  jobId: 'j',
  memberId: 'ann',
  capability: 'c',
  outcome: 'succeeded',
  attempts: 2,
  currency: 'USD',
  priceBookHash: prices.hash,
  billingPeriod: '2026-05',
  admittedAt: 77n,
  usageEventId: idFrom('evt', 't', 'j', 'UsageMetered'),
  provider: 'p',
  model: 'm',
  keyOwner: 'platform',
  chargedPico: 1_060_000_000n,
  providerCostPico: 30_000_000n,
  lines: [
    line('request', 1n, 1_000_000_000n),
    line('input_uncached', 40n, 1_000_000n),
    line('output', 20n, 1_000_000n),
  ],
  heldPico: 1_100_000_000n,
  settlements: [settled('a', 'requests', 1n, 1n), settled('c', 'money', 1_100_000_000n, 1_060_000_000n)],
}
const free = {
  chargedPico: 0n,
  lines: [],
  settlements: [settled('a', 'requests', 1n, 1n), settled('c', 'money', 1_100_000_000n, 0n)],
}

/** Given how a job ended, then exactly these facts, in this order. */
const ended = (change: Partial<EndedJob>) => ({
  leadsTo: (...facts: Draft[]) => expect(decideRating({ ...job, ...change }, prices)).toEqual(facts),
})

test('a job that succeeded is metered, then rated', () => ended({}).leadsTo(metered, rated))

test("a job that failed is metered and rated at nothing; the provider's cost is seen", () =>
  ended({ outcome: 'failed' }).leadsTo(metered, { ...rated, ...free, outcome: 'failed' }))

test('a job that was cancelled pays for what is known to be used', () =>
  ended({ outcome: 'cancelled' }).leadsTo(metered, { ...rated, outcome: 'cancelled' }))

test('nobody knows what a cancelled call used: zeros, said to be absent, and nothing to pay; the request still counts', () =>
  ended({ outcome: 'cancelled', attempt: { ...attempt, usage: null } }).leadsTo(
    {
      ...metered,
      source: 'absent',
      inputUncachedTokens: 0n,
      outputTokens: 0n,
      rawUsage: null,
      settlements: [settled('b', 'tokens', 100n, 0n), settled('d', 'tokens', 100n, 0n)],
    },
    { ...rated, ...free, outcome: 'cancelled', providerCostPico: 0n },
  ))

test.for(['failed', 'cancelled'] as const)(
  '%s before any attempt: everything held is given back in the one fact',
  (outcome) =>
    ended({ outcome, attempt: null }).leadsTo({
      ...rated,
      outcome,
      attempts: 0,
      usageEventId: null,
      provider: null,
      model: null,
      keyOwner: null,
      chargedPico: 0n,
      providerCostPico: 0n,
      lines: [],
      settlements: [
        settled('a', 'requests', 1n, 0n),
        settled('b', 'tokens', 100n, 0n),
        settled('c', 'money', 1_100_000_000n, 0n),
        settled('d', 'tokens', 100n, 0n),
      ],
    }),
)

test('more used than held is said between usage and charge, tokens first, to the unit', () =>
  ended({ attempt: { ...attempt, usage: used(81n, 20n, { raw: '{}' }) } }).leadsTo(
    {
      ...metered,
      inputUncachedTokens: 81n,
      rawUsage: '{}',
      settlements: [settled('b', 'tokens', 100n, 101n), settled('d', 'tokens', 100n, 101n)],
    },
    {
      type: 'HoldExceeded',
      eventId: idFrom('evt', 't', 'j', 'HoldExceeded', 'tokens'),
      tenantId: 't',
      jobId: 'j',
      metric: 'tokens',
      held: 100n,
      actual: 101n,
      excess: 1n,
    },
    {
      type: 'HoldExceeded',
      eventId: idFrom('evt', 't', 'j', 'HoldExceeded', 'money'),
      tenantId: 't',
      jobId: 'j',
      metric: 'money',
      held: 1_100_000_000n,
      actual: 1_101_000_000n,
      excess: 1_000_000n,
    },
    {
      ...rated,
      chargedPico: 1_101_000_000n,
      providerCostPico: 50_500_000n,
      lines: [
        line('request', 1n, 1_000_000_000n),
        line('input_uncached', 81n, 1_000_000n),
        line('output', 20n, 1_000_000n),
      ],
      settlements: [settled('a', 'requests', 1n, 1n), settled('c', 'money', 1_100_000_000n, 1_101_000_000n)],
    },
  ))

test('a job is charged no more than its caller accepts, and its money holds are settled at that', () => {
  const facts = decideRating(
    { ...job, maxCharge: 1_100_000_000n, attempt: { ...attempt, usage: used(81n, 20n) } },
    prices,
  )
  expect(facts.map(({ type }) => type)).toEqual(['UsageMetered', 'HoldExceeded', 'JobRated'])
  expect(facts.at(-1)).toMatchObject({
    chargedPico: 1_100_000_000n,
    settlements: [settled('a', 'requests', 1n, 1n), settled('c', 'money', 1_100_000_000n, 1_100_000_000n)],
  })
})

test('exactly what was held is no excess', () => {
  const facts = decideRating({ ...job, attempt: { ...attempt, usage: used(60n, 40n) } }, prices)
  expect(facts.map(({ type }) => type)).toEqual(['UsageMetered', 'JobRated'])
})

test('the charge names the usage fact that was written', () => {
  const [usage, charge] = decideRating(job, prices)
  expect(usage?.eventId).toBe(usageEventIdOf('t', 'j'))
  expect(charge).toMatchObject({ eventId: ratedEventIdOf('t', 'j'), usageEventId: usage?.eventId })
})

test('what admission can never let in is a bug, not a charge', () => {
  expect(() => decideRating(job, book('another'))).toThrow(/not priced by book/)
  expect(() => decideRating({ ...job, capability: 'unpriced' }, prices)).toThrow(/does not price unpriced p m platform/)
  expect(() => decideRating({ ...job, attempt: { ...attempt, usage: used(-1n, 0n) } }, prices)).toThrow(RangeError)
  expect(hashOf('')).not.toBe(prices.hash)
})

const metrics = fc.constantFrom<JobAdmittedCapHold['metric'][]>('requests', 'tokens', 'money', 'unknown')
const attempts = fc.option(
  fc.record({
    input: fc.bigInt(0n, 2_000n),
    output: fc.bigInt(0n, 2_000n),
    isKnown: fc.boolean(),
    isOwnKey: fc.boolean(),
  }),
)

test('every hold is settled exactly once, and excess is told exactly when it happened', () => {
  fc.assert(
    fc.property(
      fc.array(metrics, { maxLength: 8 }),
      attempts,
      fc.constantFrom('succeeded', 'failed', 'cancelled'),
      (kinds, run, outcome) => {
        const bounds = { inputTokensMax: 1_000n, outputTokensMax: 1_000n }
        const keyOwner = run?.isOwnKey ? 'tenant' : 'platform'
        const most = mostPico(prices, [{ capability: 'c', provider: 'p', model: 'm', keyOwner }], bounds)
        if (!most.priced) throw new Error('unpriced')
        const held = { requests: 1n, tokens: 2_000n, money: most.pico, unknown: most.pico }
        const caps = kinds.map((metric, index) => hold(`cap-${index}`, metric, held[metric]))
        const usage = run?.isKnown ? used(run.input, run.output) : null
        const facts = decideRating(
          {
            ...job,
            caps,
            tokensHeld: 2_000n,
            heldPico: most.pico,
            outcome: run === null && outcome === 'succeeded' ? 'failed' : outcome,
            attempt: run && { ...attempt, keyOwner, usage },
          },
          prices,
        )
        const settlements = facts.flatMap((fact) =>
          fact.type === 'UsageMetered' || fact.type === 'JobRated' ? fact.settlements : [],
        )
        expect(settlements.map(({ capId }) => capId).sort()).toEqual(caps.map(({ capId }) => capId).sort())
        const charge = facts.at(-1)
        if (charge?.type !== 'JobRated') throw new Error('the last fact is the charge')
        const excess = new Map(
          facts.flatMap((fact) => (fact.type === 'HoldExceeded' ? [[fact.metric, fact.excess]] : [])),
        )
        for (const { metric, held: before, settled: after } of settlements) {
          const over = excess.get(metric === 'unknown' ? 'money' : metric) ?? 0n
          if (after > before) expect(after - before).toBe(over)
          else expect(over).toBe(0n)
        }
        expect(excess.has('tokens')).toBe(tokensOf(usage ?? noUsage) > 2_000n)
        expect(excess.has('money')).toBe(charge.chargedPico > most.pico)
      },
    ),
  )
})
