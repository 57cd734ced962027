import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FactBody, JobAdmittedCapHold, JobRatedSettlement } from '../../schemas/events.generated.ts'
import { admitted, capSet, dayMicros, metered, noon, rated, ratedUntried, Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { capStanding, capVersions } from './projection.ts'
import { capById, capStandings, capsInForce, type PeriodOf } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(capVersions, capStanding)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const given = (...bodies: FactBody[]): Promise<void> => view.take(...bodies.map((body) => stamp.fact('harbor', body)))
const today = noon - (noon % dayMicros)
const onDay =
  (start: bigint): PeriodOf =>
  () => ({ start, end: start + dayMicros })
const standings = (periodOf = onDay(today)) => view.asTenant('harbor', (tx) => capStandings(tx, 'harbor', periodOf))
const hold = (over: Partial<JobAdmittedCapHold> = {}): JobAdmittedCapHold => ({
  capId: 'day',
  capVersion: 1n,
  periodStart: today,
  periodEnd: today + dayMicros,
  metric: 'requests',
  limit: 100n,
  settledBefore: 0n,
  heldBefore: 0n,
  held: 1n,
  ...over,
})
const settle = (over: Partial<JobRatedSettlement> = {}): JobRatedSettlement => ({
  capId: 'day',
  capVersion: 1n,
  periodStart: today,
  metric: 'requests',
  held: 1n,
  settled: 1n,
  ...over,
})

test('a cap nobody used is all free', async () => {
  await given(capSet('day', { scopeMemberId: 'ann', scopeCapability: 'generate.text', anchorDate: '2026-01-31' }))
  expect(await standings()).toEqual([
    {
      capId: 'day',
      version: 1n,
      metric: 'requests',
      limit: 100n,
      period: 'day',
      anchorDate: '2026-01-31',
      scopeMemberId: 'ann',
      scopeCapability: 'generate.text',
      countsFrom: noon,
      setAt: stamp.now,
      setBy: 'token:t1',
      settled: 0n,
      held: 0n,
      free: 100n,
      periodStart: today,
      periodEnd: today + dayMicros,
    },
  ])
})

test('held at admission; requests and money settle with the rating, tokens with the metering', async () => {
  await given(
    capSet('day'),
    capSet('tokens', { metric: 'tokens', limit: 5_000n }),
    capSet('money', { metric: 'money', limit: 10n ** 22n }),
    admitted('j', {
      caps: [
        hold(),
        hold({ capId: 'money', metric: 'money', held: 10n ** 21n }),
        hold({ capId: 'tokens', metric: 'tokens', held: 1_216n }),
      ],
    }),
    admitted('k', { caps: [hold()] }),
  )
  const shown = async () => (await standings()).map((s) => [s.capId, s.settled, s.held, s.free])
  expect(await shown()).toEqual([
    ['day', 0n, 2n, 98n],
    ['money', 0n, 10n ** 21n, 9n * 10n ** 21n],
    ['tokens', 0n, 1_216n, 3_784n],
  ])
  await given(
    metered('j', { settlements: [settle({ capId: 'tokens', metric: 'tokens', held: 1_216n, settled: 230n })] }),
  )
  expect(await shown()).toEqual([
    ['day', 0n, 2n, 98n],
    ['money', 0n, 10n ** 21n, 9n * 10n ** 21n],
    ['tokens', 230n, 0n, 4_770n],
  ])
  await given(
    rated('j', { settlements: [settle(), settle({ capId: 'money', metric: 'money', held: 10n ** 21n, settled: 7n })] }),
  )
  await given(ratedUntried('k', { settlements: [settle({ settled: 0n })] }))
  expect(await shown()).toEqual([
    ['day', 1n, 0n, 99n],
    ['money', 7n, 0n, 10n ** 22n - 7n],
    ['tokens', 230n, 0n, 4_770n],
  ])
})

test('a settlement stays in the period of its hold', async () => {
  const tomorrow = today + dayMicros
  await given(
    capSet('day'),
    admitted('j', { caps: [hold()] }),
    admitted('k', { caps: [hold({ periodStart: tomorrow, periodEnd: tomorrow + dayMicros })] }),
    rated('j', { settlements: [settle()] }),
  )
  expect(await standings()).toMatchObject([{ settled: 1n, held: 0n }])
  expect(await standings(onDay(tomorrow))).toMatchObject([{ settled: 0n, held: 1n }])
})

test('another limit keeps the count, whatever version the hold was taken under', async () => {
  await given(capSet('day'), admitted('j', { caps: [hold()] }), admitted('k', { caps: [hold()] }))
  await given(
    capSet('day', { version: 2n, limit: 1n }),
    admitted('l', { caps: [hold({ capVersion: 2n })] }),
    rated('j', { settlements: [settle()] }),
  )
  expect(await standings()).toMatchObject([{ version: 2n, limit: 1n, settled: 1n, held: 2n, free: 0n }])
})

test('a cap that counts anew owes nothing to its earlier life', async () => {
  await given(capSet('day'), admitted('j', { caps: [hold()] }), { type: 'CapRemoved', capId: 'day', version: 2n })
  expect(await standings()).toEqual([])
  await given(capSet('day', { version: 3n, countsFrom: noon + 5n }), rated('j', { settlements: [settle()] }))
  expect(await standings()).toMatchObject([{ version: 3n, settled: 0n, held: 0n }])
  await given(
    admitted('k', { caps: [hold({ capVersion: 3n })] }),
    capSet('day', { version: 4n, metric: 'tokens', countsFrom: noon + 9n }),
  )
  expect(await standings()).toMatchObject([{ version: 4n, metric: 'tokens', settled: 0n, held: 0n }])
})

test('caps in force, and one by id', async () => {
  await given(
    capSet('b'),
    capSet('a'),
    capSet('c'),
    { type: 'CapRemoved', capId: 'b', version: 2n },
    capSet('a', { version: 2n, limit: 7n }),
  )
  const asHarbor = view.asTenant
  expect((await asHarbor('harbor', (tx) => capsInForce(tx, 'harbor'))).map((cap) => [cap.capId, cap.limit])).toEqual([
    ['a', 7n],
    ['c', 100n],
  ])
  expect(await asHarbor('harbor', (tx) => capById(tx, 'harbor', 'a'))).toMatchObject({ version: 2n, limit: 7n })
  expect(await asHarbor('harbor', (tx) => capById(tx, 'harbor', 'b'))).toBeUndefined()
  expect(await asHarbor('harbor', (tx) => capById(tx, 'harbor', 'z'))).toBeUndefined()
  expect(await asHarbor('other', (tx) => capsInForce(tx, 'harbor'))).toEqual([])
})

test('a cap without end has one period', async () => {
  await given(
    capSet('all', { period: 'total' }),
    admitted('j', { caps: [hold({ capId: 'all', periodStart: noon, periodEnd: null })] }),
  )
  expect(await standings((cap) => ({ start: cap.countsFrom, end: null }))).toMatchObject([
    { held: 1n, periodStart: noon, periodEnd: null },
  ])
})
