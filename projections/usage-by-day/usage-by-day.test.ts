import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FactBody } from '../../schemas/events.generated.ts'
import { dayMicros, metered, rated, ratedUntried, refused, Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { usageByDay } from './projection.ts'
import { type UsageWish, usageBetween } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(usageByDay)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const given = (...bodies: FactBody[]): Promise<void> => view.take(...bodies.map((body) => stamp.fact('harbor', body)))
const usage = (groupBy: UsageWish['groupBy'], days: Partial<UsageWish> = {}) =>
  view.asTenant('harbor', (tx) =>
    usageBetween(tx, 'harbor', { fromDay: '2026-11-10', toDay: '2026-11-30', groupBy, ...days }),
  )

test('tokens come with the metering, the job and its charge with the rating', async () => {
  await given(metered('a'), rated('a'), metered('b'), rated('b', { chargedPico: 10n ** 25n, providerCostPico: null }))
  const { groups, total, currency } = await usage('day')
  const both = {
    jobs: 2n,
    succeeded: 2n,
    failed: 0n,
    cancelled: 0n,
    refused: 0n,
    inputUncachedTokens: 400n,
    inputCacheReadTokens: 40n,
    inputCacheWriteTokens: 4n,
    outputTokens: 20n,
    reasoningTokens: 2n,
    inputBytes: 2_400n,
    outputBytes: 180n,
    durationMs: 14n,
    chargedPico: 10n ** 25n + 230n,
    providerCostPico: 0n,
    costUnknownJobs: 1n,
  }
  expect(groups).toEqual([{ group: '2026-11-10', ...both }])
  expect(total).toEqual(both)
  expect(currency).toBe('USD')
})

test('ends of every kind; a refused job is counted apart; an end without an attempt has no provider and no unknown cost', async () => {
  await given(
    rated('a', { outcome: 'failed', chargedPico: 0n, lines: [] }),
    ratedUntried('b'),
    ratedUntried('c', { outcome: 'failed' }),
    refused('d'),
    refused('e', { memberId: 'ann' }),
  )
  const { total } = await usage('day')
  expect(total).toMatchObject({ jobs: 3n, succeeded: 0n, failed: 2n, cancelled: 1n, refused: 2n, costUnknownJobs: 0n })
  expect((await usage('provider')).groups.map((g) => [g.group, g.jobs, g.refused])).toEqual([
    [null, 2n, 2n],
    ['local', 1n, 0n],
  ])
  expect((await usage('member')).groups.map((g) => [g.group, g.jobs, g.refused])).toEqual([
    [null, 3n, 1n],
    ['ann', 0n, 1n],
  ])
})

test('days are UTC and bounds are included; groups are in order', async () => {
  await given(rated('a', { capability: 'generate.text' }))
  stamp.now += dayMicros
  await given(rated('b'), rated('c', { memberId: 'ann', model: 'other' }))
  stamp.now += dayMicros
  await given(rated('d'))
  const days = async (wish: Partial<UsageWish>) => (await usage('day', wish)).groups.map((g) => [g.group, g.jobs])
  expect(await days({})).toEqual([
    ['2026-11-10', 1n],
    ['2026-11-11', 2n],
    ['2026-11-12', 1n],
  ])
  expect(await days({ fromDay: '2026-11-11', toDay: '2026-11-11' })).toEqual([['2026-11-11', 2n]])
  expect(await days({ fromDay: '2027-01-01', toDay: '2027-01-02' })).toEqual([])
  expect((await usage('capability')).groups.map((g) => [g.group, g.jobs])).toEqual([
    ['classify.category', 3n],
    ['generate.text', 1n],
  ])
  expect((await usage('model')).groups.map((g) => [g.group, g.jobs])).toEqual([
    ['linear-1', 3n],
    ['other', 1n],
  ])
})

test('nothing used is nothing', async () => {
  expect(await usage('day')).toMatchObject({ groups: [], total: { jobs: 0n, chargedPico: 0n }, currency: null })
})

test('another tenant’s usage is not seen, whatever is asked', async () => {
  await view.take(stamp.fact('other', rated('a')))
  expect((await usage('day')).groups).toEqual([])
  expect(
    (
      await view.asTenant('harbor', (tx) =>
        usageBetween(tx, 'other', { fromDay: '2026-01-01', toDay: '2026-12-31', groupBy: 'day' }),
      )
    ).groups,
  ).toEqual([])
})

test('more groups than fit are refused, never cut off', async () => {
  await given(refused('j', { memberId: 'm' }))
  await view.asService((tx) =>
    tx.query(`INSERT INTO usage_by_day SELECT (jsonb_populate_record(u, jsonb_build_object('member_id', 'm' || n))).*
      FROM usage_by_day u, generate_series(1, 10000) n`),
  )
  await expect(usage('member')).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  expect((await usage('day')).total.refused).toBe(10_001n)
})
