import { afterAll, beforeAll, expect, test } from 'vitest'
import { noon, Stamp, tenantRegistered } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { tenantTree } from './projection.ts'
import { ancestorsOf, childrenOf, directoryVersion, isAncestor, platformTenant, tenantById } from './queries.ts'

let view: View
beforeAll(async () => {
  view = await openView(tenantTree)
  const stamp = new Stamp()
  await view.take(
    stamp.fact('platform', tenantRegistered('partner')),
    stamp.fact('platform', tenantRegistered('harbor', 'partner', 'client')),
    stamp.fact('platform', tenantRegistered('meadow', 'partner', 'client')),
    stamp.fact('platform', tenantRegistered('shop', 'harbor', 'merchant')),
  )
})
afterAll(() => view.close())

test('a tenant sees itself and nobody else; the service sees all', async () => {
  expect(await view.asTenant('harbor', (tx) => tenantById(tx, 'harbor'))).toEqual({
    tenantId: 'harbor',
    parentId: 'partner',
    level: 'client',
    name: 'The harbor',
    currency: 'USD',
    timeZone: 'Europe/Berlin',
    registeredAt: noon + 2_000n,
    registeredBy: 'token:t1',
  })
  expect(await view.asTenant('harbor', (tx) => tenantById(tx, 'meadow'))).toBeUndefined()
  expect(await view.asTenant('platform', (tx) => tenantById(tx, 'harbor'))).toBeUndefined()
  expect(await view.asService((tx) => tenantById(tx, 'meadow'))).toMatchObject({ name: 'The meadow' })
  expect(await view.asService((tx) => tenantById(tx, 'nowhere'))).toBeUndefined()
})

test('the platform is there without being registered', async () => {
  expect(await view.asService((tx) => tenantById(tx, 'platform'))).toEqual(platformTenant)
})

test('who stands above whom', async () => {
  const above = (tenantId: string) => view.asService((tx) => ancestorsOf(tx, tenantId))
  expect(await above('shop')).toEqual(['harbor', 'partner', 'platform'])
  expect(await above('partner')).toEqual(['platform'])
  expect(await above('platform')).toEqual([])
  expect(await above('nowhere')).toEqual([])
  const is = (a: string, b: string) => view.asService((tx) => isAncestor(tx, a, b))
  expect(await Promise.all([is('platform', 'shop'), is('partner', 'shop'), is('harbor', 'shop')])).toEqual([
    true,
    true,
    true,
  ])
  expect(
    await Promise.all([is('shop', 'shop'), is('shop', 'harbor'), is('meadow', 'shop'), is('platform', 'platform')]),
  ).toEqual([false, false, false, false])
})

test('a loop, which no owner writes, does not hang the question', async () => {
  const stamp = new Stamp()
  await view.take(
    stamp.fact('platform', tenantRegistered('x', 'y')),
    stamp.fact('platform', tenantRegistered('y', 'x')),
  )
  expect((await view.asService((tx) => ancestorsOf(tx, 'x'))).length).toBeLessThanOrEqual(8)
})

test('children, page by page', async () => {
  const first = await view.asService((tx) => childrenOf(tx, 'partner', { limit: 1 }))
  expect([first.items.map((t) => t.tenantId), first.next]).toEqual([['harbor'], 'harbor'])
  expect(await view.asService((tx) => childrenOf(tx, 'partner', { limit: 1, after: 'harbor' }))).toMatchObject({
    items: [{ tenantId: 'meadow' }],
    next: null,
  })
  expect((await view.asTenant('partner', (tx) => childrenOf(tx, 'partner', { limit: 9 }))).items).toEqual([])
})

test('before anything was read the directory version is 0', async () => {
  expect(await view.asService(directoryVersion)).toBe(0n)
})
