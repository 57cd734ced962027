import { expect, test } from 'vitest'
import { noUsage, type PriceBook, parsePriceBook } from '../../pricing/index.ts'
import type { Fact, FactType, JobRated, JobRatedJobOutcome } from '../../schemas/events.generated.ts'
import { lineIdFrom } from '../../schemas/ids.ts'
import type { Draft } from '../processor.ts'
import { decideRating, type EndedJob } from './decide.ts'
import { type LedgerLine, type ReplayRequest, replay } from './replay.ts'

const rates = (request: string, token: string) => ({
  perRequest: request,
  perMillionInputTokens: token,
  perMillionCacheReadTokens: token,
  perMillionCacheWriteTokens: token,
  perMillionOutputTokens: token,
})

function bookOf(token: string, more: { model?: string; currency?: string } = {}): PriceBook {
  const { model = '*', currency = 'USD' } = more
  const entry = {
    capability: 'c',
    provider: 'p',
    model,
    price: rates('0.001', token),
    ownKeyPrice: rates('0', '0'),
    cost: null,
  }
  const parsed = parsePriceBook(
    JSON.stringify({ name: 'b', currency, effectiveFrom: '2026-01-01T00:00:00Z', entries: [entry] }),
  )
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.book
}
const book = bookOf('1')
const request: ReplayRequest = {
  tenantId: 't',
  period: '2026-05',
  bookByHash: (hash) => (hash === book.hash ? book : undefined),
}

type Told = {
  tenantId?: string
  period?: string
  model?: string
  outcome?: Exclude<JobRatedJobOutcome, 'unknown'>
  input?: bigint
}

/** The facts of jobs, one after the other, numbered from 1. */
function history(jobs: Record<string, Told>): Fact[] {
  const facts: Fact[] = []
  const add = (draft: Draft): Fact => {
    const seq = BigInt(facts.length + 1)
    const header = {
      seq,
      occurredAt: seq,
      actor: 'owner',
      correlationId: 'c',
      causedBy: 'c',
      intakeOffset: null,
      traceparent: null,
    }
    const fact: Fact = { eventId: `evt-${seq}`, ...draft, ...header }
    facts.push(fact)
    return fact
  }
  for (const [jobId, told] of Object.entries(jobs)) {
    const { tenantId = 't', period = '2026-05', model = 'm', outcome = 'succeeded', input } = told
    const job = { tenantId, jobId, memberId: null, capability: 'c' }
    const hold = { capId: 'cap', capVersion: 1n, periodStart: 0n, metric: 'money' as const, held: 10n ** 12n }
    const admitted = add({
      type: 'JobAdmitted',
      ...job,
      priority: 3,
      requestsHeld: 1n,
      tokensHeld: 1_000n,
      heldPico: 10n ** 12n,
      maxCharge: null,
      currency: 'USD',
      caps: [{ ...hold, periodEnd: null, limit: 10n ** 15n, settledBefore: 0n, heldBefore: 0n }],
      route: [],
      priceBookHash: book.hash,
      billingPeriod: period,
      timeZone: 'UTC',
      directoryVersion: 1n,
      resourceHash: null,
      schedulingCost: 1n,
      schedulingWeight: 1,
      attemptsMax: 1,
      deadlineAt: 0n,
    })
    if (admitted.type !== 'JobAdmitted') throw new Error('not an admission')
    const [attemptId, provider, attemptNo] = ['att', 'p', 1]
    if (outcome === 'succeeded') {
      const result = { resultRef: '', resultBytes: 0n, resultMac: '', durationMs: 0n }
      add({ type: 'JobSucceeded', tenantId, jobId, attemptNo, attemptId, provider, model, ...result })
    } else if (outcome === 'failed') {
      add({ type: 'JobFailed', tenantId, jobId, code: 'PROVIDER_TIMEOUT', attempts: input === undefined ? 0 : 1 })
    } else {
      add({ type: 'JobCancelled', tenantId, jobId, attempts: input === undefined ? 0 : 1 })
    }
    const sizes = { inputBytes: 0n, outputBytes: 0n, durationMs: 0n }
    const usage = { ...noUsage, source: 'counted' as const, inputUncachedTokens: input ?? 0n }
    const attempt = {
      attemptNo,
      attemptId,
      provider,
      model,
      keyOwner: 'platform' as const,
      keyId: null,
      usage,
      ...sizes,
    }
    const ended: EndedJob = {
      ...admitted,
      admittedAt: admitted.occurredAt,
      outcome,
      attempt: input === undefined ? null : attempt,
    }
    for (const draft of decideRating(ended, book)) add(draft)
  }
  return facts
}

const month = (): Fact[] =>
  history({
    one: { input: 100n },
    two: { input: 7n, outcome: 'cancelled' },
    three: { outcome: 'failed' },
    other: { input: 5n, tenantId: 'u' },
    june: { input: 9n, period: '2026-06' },
  })

const ratedOf = (facts: Fact[], jobId: string): JobRated => {
  const found = facts.find((fact) => fact.type === 'JobRated' && fact.jobId === jobId)
  if (found?.type !== 'JobRated') throw new Error(`${jobId} is not rated`)
  return found
}
const ledgerOf = (facts: Fact[]): LedgerLine[] =>
  facts.flatMap((fact) =>
    fact.type === 'JobRated' && fact.tenantId === 't' && fact.billingPeriod === '2026-05'
      ? fact.lines.map((line) => ({ ...line, jobId: fact.jobId, currency: fact.currency }))
      : [],
  )
const without = (facts: Fact[], type: FactType, jobId: string): Fact[] =>
  facts.filter((fact) => !(fact.type === type && 'jobId' in fact && fact.jobId === jobId))

const shortly = async (facts: Fact[], more: Partial<ReplayRequest> = {}) => {
  const { deltas } = await replay([facts], { ...request, ...more })
  return deltas.map((delta) => [
    delta.kind,
    delta.in,
    delta.jobId,
    delta.what,
    delta.recorded,
    delta.derived,
    delta.amountPico,
  ])
}

test('a right month has no differences, and other tenants and months are none of its business', async () => {
  const facts = month()
  const report = await replay([facts], { ...request, ledger: ledgerOf(facts) })
  expect(report).toEqual({
    tenantId: 't',
    period: '2026-05',
    otherBookHash: null,
    jobs: 3,
    endedJobs: 3,
    underivedJobs: 0,
    lines: 4,
    // 1,000,000,000 per request and 1,000,000 per token.
    totals: [
      { currency: 'USD', recordedPico: 2_107_000_000n, derivedPico: 2_107_000_000n, ledgerPico: 2_107_000_000n },
    ],
    deltaCount: 0,
    deltas: [],
  })
})

test('facts and ledger may come from anywhere that has them in order, in batches of any size', async () => {
  async function* stream<T>(items: T[]) {
    yield* items
  }
  const facts = month()
  expect(
    (await replay(stream([facts.slice(0, 1), [], facts.slice(1)]), { ...request, ledger: stream(ledgerOf(facts)) }))
      .deltaCount,
  ).toBe(0)
})

test('a job that has not ended has nothing to compare', async () => {
  const facts = month().slice(0, 1)
  expect(await replay([facts], request)).toMatchObject({ jobs: 1, endedJobs: 0, deltaCount: 0, totals: [] })
})

test('under another book every line shows what it would have been, with the facts behind it', async () => {
  const report = await replay([month()], { ...request, otherBook: bookOf('3') })
  expect(report).toMatchObject({ otherBookHash: bookOf('3').hash, underivedJobs: 0, deltaCount: 2 })
  expect(report.totals).toEqual([
    { currency: 'USD', recordedPico: 2_107_000_000n, derivedPico: 2_321_000_000n, ledgerPico: null },
  ])
  expect(report.deltas[0]).toEqual({
    kind: 'differs',
    in: 'facts',
    jobId: 'one',
    what: 'line',
    lineId: lineIdFrom('t', 'one', 'input_uncached', 0),
    recorded: 'input_uncached: 100 × 1000000 = 100000000',
    derived: 'input_uncached: 100 × 3000000 = 300000000',
    amountPico: 200_000_000n,
    evidence: [
      { type: 'JobAdmitted', eventId: 'evt-1', seq: 1n },
      { type: 'JobSucceeded', eventId: 'evt-2', seq: 2n },
      { type: 'UsageMetered', eventId: expect.stringMatching(/^evt_/), seq: 3n },
      { type: 'JobRated', eventId: expect.stringMatching(/^evt_/), seq: 4n },
    ],
  })
})

test('under a free book the lines fall away', async () => {
  expect(await shortly(history({ one: { input: 1n } }), { otherBook: bookOf('0') })).toEqual([
    ['extra', 'facts', 'one', 'line', 'input_uncached: 1 × 1000000 = 1000000', null, -1_000_000n],
  ])
})

test.for([
  ['lacks the model', bookOf('1', { model: 'another' })],
  ['is of another currency', bookOf('1', { currency: 'NGN' })],
] as const)('what a book that %s would charge is unpriced, not 0', async ([, otherBook]) => {
  const report = await replay([history({ one: { input: 1n } })], { ...request, otherBook })
  expect(report).toMatchObject({ underivedJobs: 1, totals: [], deltaCount: 1 })
  expect(report.deltas[0]).toMatchObject({
    kind: 'unpriced',
    recorded: 'charge of 1001000000',
    derived: null,
    amountPico: -1_001_000_000n,
  })
})

test('a book that nobody has is unpriced too', async () => {
  expect(await shortly(history({ one: { input: 1n } }), { bookByHash: () => undefined })).toEqual([
    ['unpriced', 'facts', 'one', `price in book ${book.hash}`, 'charge of 1001000000', null, -1_001_000_000n],
  ])
})

type Planted = [name: string, plant: (facts: Fact[]) => Fact[] | undefined, found: unknown[][]]
const planted: Planted[] = [
  [
    'a wrong price',
    (facts) => {
      const rated = ratedOf(facts, 'two')
      rated.lines = rated.lines.map((line) =>
        line.kind === 'request' ? { ...line, pricePico: 9n, amountPico: 9n } : line,
      )
      rated.chargedPico = 7_000_009n
      return undefined
    },
    [
      ['differs', 'facts', 'two', 'chargedPico', '"7000009"', '"1007000000"', 0n],
      ['differs', 'facts', 'two', 'line', 'request: 1 × 9 = 9', 'request: 1 × 1000000000 = 1000000000', 999_999_991n],
    ],
  ],
  [
    'a line left out',
    (facts) => {
      ratedOf(facts, 'one').lines.pop()
      return undefined
    },
    [['missing', 'facts', 'one', 'line', null, 'input_uncached: 100 × 1000000 = 100000000', 100_000_000n]],
  ],
  [
    'a line that comes twice',
    (facts) => {
      const { lines } = ratedOf(facts, 'two')
      lines.push(...lines.slice(0, 1))
      return undefined
    },
    [['extra', 'facts', 'two', 'line', 'request: 1 × 1000000000 = 1000000000', null, -1_000_000_000n]],
  ],
  [
    'a job rated twice',
    (facts) => [...facts, { ...ratedOf(facts, 'two'), eventId: 'again' }],
    [
      ['extra', 'facts', 'two', 'JobRated', 'charge of 1007000000', null, 0n],
      ['extra', 'facts', 'two', 'line', 'request: 1 × 1000000000 = 1000000000', null, -1_000_000_000n],
      ['extra', 'facts', 'two', 'line', 'input_uncached: 7 × 1000000 = 7000000', null, -7_000_000n],
    ],
  ],
  [
    'a job rated twice, once in another month',
    (facts) => [...facts, { ...ratedOf(facts, 'three'), eventId: 'again', billingPeriod: '2026-06' }],
    [['extra', 'facts', 'three', 'JobRated', 'charge of 0', null, 0n]],
  ],
  [
    'a job never rated',
    (facts) => without(facts, 'JobRated', 'two'),
    [
      ['missing', 'facts', 'two', 'JobRated', null, 'charge of 1007000000', 0n],
      ['missing', 'facts', 'two', 'line', null, 'request: 1 × 1000000000 = 1000000000', 1_000_000_000n],
      ['missing', 'facts', 'two', 'line', null, 'input_uncached: 7 × 1000000 = 7000000', 7_000_000n],
    ],
  ],
  [
    'usage lost',
    (facts) => without(facts, 'UsageMetered', 'two'),
    [['missing', 'facts', 'two', 'sound UsageMetered', 'charge of 1007000000', null, -1_007_000_000n]],
  ],
  [
    'an end lost',
    (facts) => without(facts, 'JobCancelled', 'two'),
    [['missing', 'facts', 'two', 'end of the job', 'charge of 1007000000', null, -1_007_000_000n]],
  ],
  [
    'a charge of another month filed here',
    (facts) => {
      ratedOf(facts, 'june').billingPeriod = '2026-05'
      return undefined
    },
    [
      ['extra', 'facts', 'june', 'JobRated', 'charge of 1009000000', null, 0n],
      ['extra', 'facts', 'june', 'line', 'request: 1 × 1000000000 = 1000000000', null, -1_000_000_000n],
      ['extra', 'facts', 'june', 'line', 'input_uncached: 9 × 1000000 = 9000000', null, -9_000_000n],
    ],
  ],
  [
    'a charge filed in another month',
    (facts) => {
      ratedOf(facts, 'two').billingPeriod = '2026-06'
      return undefined
    },
    [['differs', 'facts', 'two', 'billingPeriod', '"2026-06"', '"2026-05"', 0n]],
  ],
  [
    'a failed job charged',
    (facts) => {
      const rated = ratedOf(facts, 'three')
      rated.lines.push({ lineId: 'x', kind: 'request', quantity: 1n, pricePico: 5n, amountPico: 5n })
      return undefined
    },
    [['extra', 'facts', 'three', 'line', 'request: 1 × 5 = 5', null, -5n]],
  ],
  [
    'a settlement that is not the charge',
    (facts) => {
      const rated = ratedOf(facts, 'three')
      rated.settlements = rated.settlements.map((settlement) => ({ ...settlement, settled: 1n }))
      return undefined
    },
    [
      [
        'differs',
        'facts',
        'three',
        'settlements',
        expect.stringMatching(/"settled":"1"/),
        expect.stringMatching(/"settled":"0"/),
        0n,
      ],
    ],
  ],
  [
    'usage that cannot be true',
    (facts) => {
      for (const fact of facts) if (fact.type === 'UsageMetered' && fact.jobId === 'two') fact.reasoningTokens = 1n
      return undefined
    },
    [['missing', 'facts', 'two', 'sound UsageMetered', 'charge of 1007000000', null, -1_007_000_000n]],
  ],
]
test.for(planted)('%s is found', async ([, plant, found]) => {
  const facts = month()
  expect(await shortly(plant(facts) ?? facts)).toEqual(found)
})

type LedgerPlanted = [name: string, plant: (lines: LedgerLine[]) => LedgerLine[], found: unknown[][]]
const ledgerPlanted: LedgerPlanted[] = [
  [
    'lost a line',
    (lines) => lines.slice(1),
    [['missing', 'ledger', 'one', 'line', null, 'request: 1 × 1000000000 = 1000000000', 1_000_000_000n]],
  ],
  [
    'counts a line twice',
    (lines) => [...lines, ...lines.slice(0, 1)],
    [['extra', 'ledger', 'one', 'line', 'request: 1 × 1000000000 = 1000000000', null, -1_000_000_000n]],
  ],
  [
    'shows another amount',
    (lines) => lines.map((line, index) => (index === 0 ? { ...line, amountPico: 999_999_999n } : line)),
    [
      [
        'differs',
        'ledger',
        'one',
        'line',
        'request: 1 × 1000000000 = 999999999',
        'request: 1 × 1000000000 = 1000000000',
        1n,
      ],
    ],
  ],
  [
    'has a line of a job there is none of',
    (lines) => [
      ...lines,
      { lineId: 'x', jobId: 'ghost', currency: 'USD', kind: 'request', quantity: 1n, pricePico: 3n, amountPico: 3n },
    ],
    [['extra', 'ledger', 'ghost', 'line', 'request: 1 × 3 = 3', null, -3n]],
  ],
]
test.for(ledgerPlanted)('a ledger that %s is found out', async ([, plant, found]) => {
  const facts = month()
  expect(await shortly(facts, { ledger: plant(ledgerOf(facts)) })).toEqual(found)
})

test('of very many differences the first ten thousand are told, and how many there are', async () => {
  const facts = month()
  const [line] = ledgerOf(facts)
  if (!line) throw new Error('no line')
  const ledger = Array.from({ length: 10_001 }, (_, index) => ({ ...line, jobId: `ghost-${index}` }))
  const report = await replay([facts], { ...request, ledger })
  expect(report.deltas).toHaveLength(10_000)
  expect(report.deltaCount).toBe(10_005)
})
