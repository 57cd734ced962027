import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FactBody } from '../../schemas/events.generated.ts'
import { Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { memberList } from './projection.ts'
import { areRemoved, memberById, memberPage } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(memberList)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const added = (memberId: string, kind: 'agent' | 'staff' | 'user' = 'agent'): FactBody => ({
  type: 'MemberAdded',
  memberId,
  kind,
})
const removed = (memberId: string): FactBody => ({ type: 'MemberRemoved', memberId })
const page = (limit: number, after?: string) =>
  view.asTenant('one', (tx) => memberPage(tx, 'one', { limit, ...(after !== undefined && { after }) }))

test('members are listed in order of id, page by page, each tenant its own', async () => {
  await view.take(
    stamp.fact('one', added('c')),
    stamp.fact('two', added('b')),
    stamp.fact('one', added('a', 'staff')),
    stamp.fact('one', added('b', 'user')),
  )
  const first = await page(2)
  expect([first.items.map(({ memberId, kind }) => [memberId, kind]), first.next]).toEqual([
    [
      ['a', 'staff'],
      ['b', 'user'],
    ],
    'b',
  ])
  expect(await page(2, 'b')).toMatchObject({ items: [{ memberId: 'c', addedBy: 'token:t1' }], next: null })
  expect(await view.asTenant('two', (tx) => memberById(tx, { tenantId: 'one', memberId: 'a' }))).toBeUndefined()
})

test('a member that is added again is of the new kind, since then', async () => {
  await view.take(stamp.fact('one', added('a')), stamp.fact('one', added('a', 'staff')))
  expect(await view.asTenant('one', (tx) => memberById(tx, { tenantId: 'one', memberId: 'a' }))).toEqual({
    memberId: 'a',
    kind: 'staff',
    addedAt: stamp.now,
    addedBy: 'token:t1',
  })
})

test('a removed member is not listed, and known as removed until it is added again', async () => {
  await view.take(stamp.fact('one', added('a')), stamp.fact('one', removed('a')), stamp.fact('one', removed('never')))
  expect(await page(10)).toEqual({ items: [], next: null })
  const keys = ['a', 'b', 'never', 'a'].map((memberId) => ({ tenantId: 'one', memberId }))
  const ask = () => view.asService((tx) => areRemoved(tx, [...keys, { tenantId: 'two', memberId: 'a' }]))
  expect(await ask()).toEqual([true, false, true, true, false])
  await view.take(stamp.fact('one', added('a')))
  expect(await ask()).toEqual([false, false, true, false, false])
  expect((await page(10)).items).toMatchObject([{ memberId: 'a' }])
})
