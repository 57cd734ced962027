import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Tx } from '../../platform/postgres/database.ts'
import type { Fact, FactBody, JobRatedLineKind } from '../../schemas/events.generated.ts'
import { noon, rated, ratedUntried, Stamp } from '../testing/facts.ts'
import { seededRandom } from '../testing/history.ts'
import { openView, type View } from '../testing/view.ts'
import { ledger, noChargeKind, periodTotals } from './projection.ts'
import { billingPeriods, ledgerPage, ledgerTotals, lineById, linesOfJob } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(ledger, periodTotals)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const given = (...bodies: FactBody[]): Promise<void> => view.take(...bodies.map((body) => stamp.fact('harbor', body)))
const asHarbor = <T>(run: (tx: Tx) => Promise<T>): Promise<T> => view.asTenant('harbor', run)

test('a rated job has its lines, and the line knows where it comes from', async () => {
  await given(rated('j', { memberId: 'ann' }))
  expect(await asHarbor((tx) => lineById(tx, 'harbor', 'line_j_i'))).toEqual({
    lineId: 'line_j_i',
    lineNo: 2,
    jobId: 'j',
    kind: 'input_uncached',
    quantity: 200n,
    pricePico: 1n,
    amountPico: 200n,
    currency: 'USD',
    billingPeriod: '2026-11',
    capability: 'classify.category',
    memberId: 'ann',
    provider: 'local',
    model: 'linear-1',
    keyOwner: 'platform',
    outcome: 'succeeded',
    priceBookHash: 'book-1',
    admittedAt: noon,
    ratedAt: stamp.now,
    ratedEventId: 'evt_1',
    usageEventId: 'use_j',
    seq: 1n,
  })
  expect((await asHarbor((tx) => linesOfJob(tx, 'harbor', 'j'))).map((line) => line.kind)).toEqual([
    'request',
    'input_uncached',
  ])
  expect(await asHarbor((tx) => lineById(tx, 'harbor', 'line_x'))).toBeUndefined()
  expect(await view.asTenant('other', (tx) => lineById(tx, 'harbor', 'line_j_i'))).toBeUndefined()
})

test('a job rated at zero stands in the ledger with one line', async () => {
  await given(ratedUntried('j'))
  const lines = await asHarbor((tx) => linesOfJob(tx, 'harbor', 'j'))
  expect(lines).toMatchObject([
    {
      kind: 'no_charge',
      quantity: 0n,
      amountPico: 0n,
      lineNo: 1,
      outcome: 'cancelled',
      provider: null,
      keyOwner: null,
      usageEventId: null,
    },
  ])
})

test('what comes again is not charged again', async () => {
  const fact = stamp.fact('harbor', rated('j'))
  await view.take(fact)
  await view.take(fact)
  expect(await asHarbor((tx) => ledgerTotals(tx, 'harbor', '2026-11'))).toMatchObject({ jobs: 1n, amountPico: 230n })
  await given(rated('j'))
  expect(await asHarbor((tx) => linesOfJob(tx, 'harbor', 'j'))).toHaveLength(2)
})

test('totals of a period, by kind, to the last unit', async () => {
  const huge = [
    { lineId: 'line_b', kind: 'request' as const, quantity: 1n, pricePico: 10n ** 30n, amountPico: 10n ** 30n },
  ]
  await given(
    rated('a'),
    rated('b', { lines: huge, chargedPico: 10n ** 30n }),
    ratedUntried('c'),
    rated('d', { billingPeriod: '2026-12' }),
  )
  expect(await asHarbor((tx) => ledgerTotals(tx, 'harbor', '2026-11'))).toEqual({
    jobs: 3n,
    amountPico: 10n ** 30n + 230n,
    byKind: [
      { currency: 'USD', kind: 'input_uncached', lines: 1n, quantity: 200n, amountPico: 200n },
      { currency: 'USD', kind: 'no_charge', lines: 1n, quantity: 0n, amountPico: 0n },
      { currency: 'USD', kind: 'request', lines: 2n, quantity: 2n, amountPico: 10n ** 30n + 30n },
    ],
  })
  expect(await asHarbor((tx) => ledgerTotals(tx, 'harbor', '2025-01'))).toEqual({
    jobs: 0n,
    amountPico: 0n,
    byKind: [],
  })
  expect(await asHarbor((tx) => billingPeriods(tx, 'harbor'))).toEqual(['2026-12', '2026-11'])
})

const kinds = ['request', 'input_uncached', 'output', 'platform_fee', 'max_charge_credit'] as const
const periods = ['2026-10', '2026-11', '2026-12'] as const

/** Jobs with up to six lines each, often several of one kind, credits among them, and jobs without any. */
function ratedAtRandom(seed: number, jobs: number): Fact[] {
  const random = seededRandom(seed)
  const below = (max: number) => Math.floor(random.fraction() * max)
  const pick = <T>(from: readonly [T, ...T[]]): T => from[below(from.length)] ?? from[0]
  const line = (jobId: string, no: number) => {
    const kind: JobRatedLineKind = pick(kinds)
    const [quantity, pricePico] = [
      BigInt(below(1_000)),
      BigInt(below(10 ** 9)) * (kind === 'max_charge_credit' ? -1n : 10n ** 18n),
    ]
    return { lineId: `line_${jobId}_${no}`, kind, quantity, pricePico, amountPico: quantity * pricePico }
  }
  return Array.from({ length: jobs }, (_, n) => {
    const lines = Array.from({ length: below(7) }, (_, no) => line(`j${n}`, no))
    const currency = below(4) === 0 ? 'NGN' : 'USD'
    return stamp.fact(pick(['harbor', 'quay']), rated(`j${n}`, { lines, currency, billingPeriod: pick(periods) }))
  })
}

test.for([1, 2, 3])(
  'the sums of every period are those of its lines, however the facts came: seed %i',
  async (seed) => {
    const facts = ratedAtRandom(seed, 300)
    const batchSize = 1 + seed * 40
    for (let at = 0; at < facts.length; at += batchSize) {
      await view.take(...facts.slice(at, at + batchSize))
      await view.take(...facts.slice(Math.max(0, at - 7), at + batchSize)) // After a crash some come again.
    }
    for (const tenantId of ['harbor', 'quay']) {
      for (const period of periods) {
        const { totals, summed } = await view.asTenant(tenantId, async (tx) => ({
          totals: await ledgerTotals(tx, tenantId, period),
          summed: await sumsOfLines(tx, period),
        }))
        expect(totals.byKind.length).toBeGreaterThan(5)
        expect(totals.byKind.some(({ kind }) => kind === noChargeKind)).toBe(true)
        expect(totals).toEqual(summed)
      }
    }
  },
)

/** What the totals are to be, from the lines themselves. */
async function sumsOfLines(tx: Tx, period: string) {
  const { rows } = await tx.query<{ currency: string; kind: string; lines: bigint; quantity: string; amount: string }>(
    `SELECT currency, kind, count(*) AS lines, sum(quantity)::text AS quantity, sum(amount_pico)::text AS amount
     FROM ledger_line WHERE billing_period = $1 GROUP BY currency, kind ORDER BY currency, kind`,
    [period],
  )
  const byKind = rows.map(({ quantity, amount, ...row }) => ({
    ...row,
    quantity: BigInt(quantity),
    amountPico: BigInt(amount),
  }))
  const { rows: counted } = await tx.query<{ jobs: bigint }>(
    'SELECT count(DISTINCT job_id) AS jobs FROM ledger_line WHERE billing_period = $1',
    [period],
  )
  return { jobs: counted[0]?.jobs, amountPico: byKind.reduce((sum, { amountPico }) => sum + amountPico, 0n), byKind }
}

test('the sums of a period are not read from its lines, of which there may be millions', async () => {
  await given(rated('a'), rated('b'))
  const totals = () => asHarbor((tx) => ledgerTotals(tx, 'harbor', '2026-11'))
  const before = await totals()
  await view.asService((tx) => tx.query('DELETE FROM ledger_line'))
  expect(before).toMatchObject({ jobs: 2n, amountPico: 460n })
  expect(await totals()).toEqual(before)
  expect(await asHarbor((tx) => billingPeriods(tx, 'harbor'))).toEqual(['2026-11'])
})

test('pages go through every line of the period once, in the order of rating', async () => {
  await given(rated('a'), rated('x', { billingPeriod: '2026-12' }), ratedUntried('b'), rated('c'))
  const seen: string[] = []
  let after: { seq: bigint; lineNo: number } | null | undefined
  do {
    const page = await asHarbor((tx) =>
      ledgerPage(tx, 'harbor', { billingPeriod: '2026-11', limit: 2, ...(after && { after }) }),
    )
    seen.push(...page.items.map((line) => `${line.jobId} ${line.kind}`))
    after = page.next
  } while (after)
  expect(seen).toEqual(['a request', 'a input_uncached', 'b no_charge', 'c request', 'c input_uncached'])
  await expect(
    asHarbor((tx) => ledgerPage(tx, 'harbor', { billingPeriod: '2026-11', limit: 0 })),
  ).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
})
