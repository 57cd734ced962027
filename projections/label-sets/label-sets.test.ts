import { afterAll, beforeAll, expect, test } from 'vitest'
import { labelSetRegistered, Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { labelSets } from './projection.ts'
import { labelSetById, labelSetPage } from './queries.ts'

let view: View
beforeAll(async () => {
  view = await openView(labelSets)
})
afterAll(() => view.close())

test('the version in force is the last one registered', async () => {
  const stamp = new Stamp()
  await view.take(
    stamp.fact('harbor', labelSetRegistered('mails', 'v1')),
    stamp.fact('harbor', labelSetRegistered('calls', 'c1')),
    stamp.fact('harbor', labelSetRegistered('mails', 'v2')),
  )
  const at = stamp.now
  await view.take(stamp.fact('other', labelSetRegistered('mails', 'o1')))
  expect(await view.asTenant('harbor', (tx) => labelSetById(tx, 'harbor', 'mails'))).toEqual({
    labelSetId: 'mails',
    hash: 'v2',
    payloadRef: 'set_v2',
    payloadBytes: 5_000n,
    labelCount: 2,
    exampleCount: 40,
    registeredAt: at,
    registeredBy: 'token:t1',
  })
  expect(await view.asTenant('harbor', (tx) => labelSetById(tx, 'other', 'mails'))).toBeUndefined()
  const first = await view.asTenant('harbor', (tx) => labelSetPage(tx, 'harbor', { limit: 1 }))
  expect([first.items.map((set) => set.hash), first.next]).toEqual([['c1'], 'calls'])
  expect(await view.asTenant('harbor', (tx) => labelSetPage(tx, 'harbor', { limit: 1, after: 'calls' }))).toMatchObject(
    { items: [{ hash: 'v2' }], next: null },
  )
})
