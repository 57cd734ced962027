import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FactBody } from '../../schemas/events.generated.ts'
import { rollupLine, Stamp, transferTaken } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { rollups } from './projection.ts'
import { type RollupCursor, type RollupGrouping, type RollupWish, rollupGroups, rollupTotals } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(rollups)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const november = { fromDay: '2026-11-01', toDay: '2026-11-30' }
const given = (...bodies: FactBody[]): Promise<void> => view.take(...bodies.map((body) => stamp.fact('partner', body)))
const groups = (groupBy: RollupGrouping, wish: Partial<RollupWish> = {}, page: object = {}) =>
  view.asTenant('partner', (tx) => rollupGroups(tx, 'partner', { ...november, ...wish, groupBy, limit: 100, ...page }))
const totals = (wish: Partial<RollupWish> = {}) =>
  view.asTenant('partner', (tx) => rollupTotals(tx, 'partner', { ...november, ...wish }))

test('what several transfers carried for the same day, period and currency adds up, beyond eight bytes', async () => {
  await given(
    transferTaken('harbor', 1n, [rollupLine({ chargedPico: 10n ** 25n })]),
    transferTaken('harbor', 2n),
    transferTaken('quay', 1n, [rollupLine({ currency: 'EUR', jobs: 1n, succeeded: 0n, failed: 0n })]),
  )
  const harbor = {
    currency: 'USD',
    jobs: 6n,
    succeeded: 2n,
    failed: 2n,
    cancelled: 2n,
    inputUncachedTokens: 400n,
    inputCacheReadTokens: 40n,
    inputCacheWriteTokens: 4n,
    outputTokens: 20n,
    reasoningTokens: 2n,
    chargedPico: 10n ** 25n + 230n,
  }
  const quay = { currency: 'EUR', jobs: 1n, succeeded: 0n, failed: 0n, cancelled: 1n, chargedPico: 230n }
  const { items, next } = await groups('tenant')
  expect(items).toEqual([
    { group: 'harbor', ...harbor },
    { group: 'quay', ...harbor, ...quay, ...tokensOnce },
  ])
  expect(next).toBeNull()
  expect(await totals()).toEqual([{ ...harbor, ...quay, ...tokensOnce }, harbor])
})

const tokensOnce = {
  inputUncachedTokens: 200n,
  inputCacheReadTokens: 20n,
  inputCacheWriteTokens: 2n,
  outputTokens: 10n,
  reasoningTokens: 1n,
}

test('days are included at both ends; a billing period goes on into days after it', async () => {
  await given(
    transferTaken('harbor', 1n, [
      rollupLine({ day: '2026-11-30', jobs: 1n }),
      rollupLine({ day: '2026-12-01', jobs: 2n }),
      rollupLine({ day: '2026-12-01', billingPeriod: '2026-12', jobs: 4n }),
    ]),
    transferTaken('quay', 1n, [rollupLine({ day: '2026-12-02', billingPeriod: '2026-12', jobs: 8n })]),
  )
  const jobs = async (by: RollupGrouping, wish: Partial<RollupWish>) =>
    (await groups(by, wish)).items.map((item) => [item.group, item.jobs])
  const both = { fromDay: '2026-11-30', toDay: '2026-12-01' }
  expect(await jobs('day', both)).toEqual([
    ['2026-11-30', 1n],
    ['2026-12-01', 6n],
  ])
  expect(await jobs('period', both)).toEqual([
    ['2026-11', 3n],
    ['2026-12', 4n],
  ])
  expect(await jobs('tenant', { ...both, billingPeriod: '2026-11' })).toEqual([['harbor', 3n]])
  expect(await totals({ ...both, billingPeriod: '2026-11' })).toMatchObject([{ jobs: 3n }])
  expect(await jobs('day', { fromDay: '2027-01-01', toDay: '2027-01-01' })).toEqual([])
  expect(await totals({ fromDay: '2027-01-01', toDay: '2027-01-01' })).toEqual([])
})

test('pages go through every group once, and a group in two currencies is two', async () => {
  await given(
    transferTaken('b', 1n, [rollupLine(), rollupLine({ currency: 'EUR' })]),
    transferTaken('a', 1n),
    transferTaken('c', 1n),
  )
  const seen: string[] = []
  let after: RollupCursor | null | undefined
  do {
    const page = await groups('tenant', {}, { limit: 1, ...(after && { after }) })
    seen.push(...page.items.map(({ group, currency }) => `${group} ${currency}`))
    after = page.next
  } while (after)
  expect(seen).toEqual(['a USD', 'b EUR', 'b USD', 'c USD'])
  await expect(groups('tenant', {}, { limit: 0 })).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
})

test('a transfer that comes again is not added again, and one of another kind adds nothing', async () => {
  const fact = stamp.fact('partner', transferTaken('harbor', 1n))
  await view.take(fact)
  await view.take(fact)
  await given({ ...transferTaken('harbor', 2n, []), kind: 'unknown' } as FactBody)
  expect(await totals()).toMatchObject([{ jobs: 3n, chargedPico: 230n }])
})

test('nobody but the ancestor sees its rollups, whatever is asked', async () => {
  await given(transferTaken('harbor', 1n))
  for (const who of ['harbor', 'other'])
    expect(await view.asTenant(who, (tx) => rollupTotals(tx, 'partner', november))).toEqual([])
})
