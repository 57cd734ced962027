/** What the fold knows of transfers, fact by fact; decisions are tested beside their rules. */
import { expect, test } from 'vitest'
import { Scene, tenantId } from '../testing/given.ts'
import { dayOf } from './state.ts'
import { forwarded, line, partner, rated, sent, Tree } from './testing/tree.ts'

const sumsOf = (tree: Tree) =>
  (tree.state.transfers.senders.get(tenantId)?.lines ?? []).map((one) => ({ ...one, day: dayOf(one) }))

test('jobs of a day, billing period and currency are one line, tokens with the charge they belong to', () => {
  const tree = new Tree()
  tree.rate('a')
  tree.rate('b', { outcome: 'failed', chargedPico: 0n }, { outputTokens: 1n })
  tree.take(rated('untried', { outcome: 'cancelled', chargedPico: 0n }))
  expect(sumsOf(tree)).toEqual([
    {
      ...line,
      jobs: 3n,
      failed: 1n,
      cancelled: 1n,
      inputUncachedTokens: 200n,
      inputCacheReadTokens: 40n,
      inputCacheWriteTokens: 6n,
      outputTokens: 11n,
      reasoningTokens: 8n,
    },
  ])
  expect(tree.state.transfers.metered).toBeNull()
})

test('usage that another fact rates is not counted with this one', () => {
  const tree = new Tree()
  tree.rate('a', { usageEventId: 'of another' })
  expect(sumsOf(tree)).toMatchObject([{ jobs: 1n, inputUncachedTokens: 0n }])
})

test('another day, billing period or currency is another line; an end of a later build is a job all the same', () => {
  const tree = new Tree()
  tree.rate('a')
  tree.rate('b', { billingPeriod: '2026-10' })
  tree.rate('c', { currency: 'EUR', outcome: 'unknown' })
  tree.now += 86_400_000_000n
  tree.rate('d', { billingPeriod: '2026-10' })
  tree.rate('e')
  tree.rate('f', { billingPeriod: '2026-10' })
  expect(sumsOf(tree).map((one) => [one.day, one.billingPeriod, one.currency, one.jobs, one.succeeded])).toEqual([
    ['2026-11-10', '2026-11', 'USD', 1n, 1n],
    ['2026-11-10', '2026-10', 'USD', 1n, 1n],
    ['2026-11-10', '2026-11', 'EUR', 1n, 0n],
    ['2026-11-11', '2026-10', 'USD', 2n, 2n],
    ['2026-11-11', '2026-11', 'USD', 1n, 1n],
  ])
})

test('a tenant waits from the first job on, not while something is on its way, and then from when that arrived', () => {
  const tree = new Tree()
  const { waiting } = tree.state.transfers
  expect(waiting.size).toBe(0)
  tree.rate('a')
  const since = tree.now
  tree.rate('b')
  expect([...waiting]).toEqual([[tenantId, since]])
  tree.tell()
  expect(waiting.size).toBe(0)
  tree.rate('c')
  tree.take(forwarded({ toTenantId: partner, number: 1n }))
  expect(waiting.size).toBe(0)
  tree.take(forwarded({ toTenantId: 'platform', number: 1n }))
  expect([...waiting]).toEqual([[tenantId, tree.now]])
})

test('who has waited longest comes first', () => {
  const tree = new Tree()
  const order = () => [...tree.state.transfers.waiting.keys()]
  tree.rate('a')
  tree.take({ ...rated('x'), tenantId: 'beside' })
  expect(order()).toEqual([tenantId, 'beside'])
  tree.tell()
  tree.rate('b')
  for (const toTenantId of [partner, 'platform']) tree.take(forwarded({ toTenantId, number: 1n }))
  expect(order()).toEqual(['beside', tenantId])
})

test('what was sent is not left, and what came since is', () => {
  const tree = new Tree()
  tree.rate('a')
  tree.tell()
  tree.rate('b', { chargedPico: 7n })
  expect(sumsOf(tree)).toEqual([{ ...line, chargedPico: 7n }])
  const { onTheirWay } = tree.state.transfers.senders.get(tenantId) ?? { onTheirWay: [] }
  expect(onTheirWay.map(({ toTenantId, number }) => [toTenantId, number])).toEqual([
    [partner, 1n],
    ['platform', 1n],
  ])
})

test('what nobody knows of changes nothing', () => {
  const tree = new Tree()
  tree.take(forwarded({ toTenantId: partner, number: 1n }))
  expect(tree.state.transfers.senders.size).toBe(0)
  tree.take(sent(partner, 1n, []))
  tree.take(forwarded({ toTenantId: partner, number: 2n }))
  expect(tree.state.transfers.senders.get(tenantId)?.onTheirWay).toHaveLength(1)
})

test('nobody is above the platform', () => {
  const scene = new Scene()
  scene.take({ ...rated('a'), tenantId: 'platform' })
  expect(scene.state.transfers).toMatchObject({ senders: new Map(), waiting: new Map() })
})
