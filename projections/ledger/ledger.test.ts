import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Tx } from '../../platform/postgres/database.ts'
import type { FactBody } from '../../schemas/events.generated.ts'
import { noon, rated, ratedUntried, Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { ledger } from './projection.ts'
import { billingPeriods, ledgerPage, ledgerTotals, lineById, linesOfJob } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(ledger)
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

test('a line that comes again is not charged again', async () => {
  await given(rated('j'), rated('j'))
  expect(await asHarbor((tx) => ledgerTotals(tx, 'harbor', '2026-11'))).toMatchObject({ jobs: 1n, amountPico: 230n })
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
