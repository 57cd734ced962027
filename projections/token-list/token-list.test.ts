import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Tx } from '../../platform/postgres/database.ts'
import { noon, Stamp, tokenIssued } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { tokenList } from './projection.ts'
import { tokenById, tokenPage, tokenState, tokensByHash } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(tokenList)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

test('an issued token is found by its hash, across tenants, in the order asked', async () => {
  await view.take(stamp.fact('one', tokenIssued('t1', 'h1', noon + 5n)), stamp.fact('two', tokenIssued('t2', 'h2')))
  const found = await view.asService((tx) => tokensByHash(tx, ['h2', 'nothing', 'h1', 'h2']))
  expect(found.map((token) => token?.tokenId)).toEqual(['t2', undefined, 't1', 't2'])
  expect(found[2]).toEqual({
    tenantId: 'one',
    tokenId: 't1',
    secretHash: 'h1',
    role: 'submitter',
    memberId: null,
    issuedAt: noon + 1_000n,
    issuedBy: 'token:t1',
    expiresAt: noon + 5n,
    revokedAt: null,
  })
  expect(await view.asTenant('two', (tx) => tokensByHash(tx, ['h1', 'h2']))).toMatchObject([
    undefined,
    { tokenId: 't2' },
  ])
})

test('a hash that two tokens have identifies nobody', async () => {
  await view.take(stamp.fact('one', tokenIssued('t1', 'same')), stamp.fact('two', tokenIssued('t2', 'same')))
  expect(await view.asService((tx) => tokensByHash(tx, ['same']))).toEqual([undefined])
})

test('revoked and expired tokens are found as such', async () => {
  await view.take(
    stamp.fact('one', tokenIssued('t1', 'h1', noon + 10n)),
    stamp.fact('one', tokenIssued('t2', 'h2')),
    stamp.fact('one', { type: 'TokenRevoked', tokenId: 't2' }),
  )
  const [expiring, revoked] = await view.asService((tx) => tokensByHash(tx, ['h1', 'h2']))
  if (!expiring || !revoked) throw new Error('not found')
  expect([9n, 10n].map((after) => tokenState(expiring, noon + after))).toEqual(['active', 'expired'])
  expect(revoked.revokedAt).toBe(stamp.now)
  expect(tokenState(revoked, noon)).toBe('revoked')
})

test('one by id, and pages in order of id', async () => {
  await view.take(
    ...['c', 'a', 'b'].map((id) => stamp.fact('one', tokenIssued(id, `h${id}`))),
    stamp.fact('two', tokenIssued('a', 'other')),
  )
  const asOne = <T>(run: (tx: Tx) => Promise<T>): Promise<T> => view.asTenant('one', run)
  expect(await asOne((tx) => tokenById(tx, 'one', 'b'))).toMatchObject({ secretHash: 'hb' })
  expect(await asOne((tx) => tokenById(tx, 'two', 'a'))).toBeUndefined()
  const first = await asOne((tx) => tokenPage(tx, 'one', { limit: 2 }))
  expect([first.items.map((token) => token.tokenId), first.next]).toEqual([['a', 'b'], 'b'])
  expect(await asOne((tx) => tokenPage(tx, 'one', { limit: 2, after: 'b' }))).toMatchObject({
    items: [{ tokenId: 'c' }],
    next: null,
  })
})

test('a token nobody issued cannot be revoked', async () => {
  await expect(view.take(stamp.fact('one', { type: 'TokenRevoked', tokenId: 'ghost' }))).rejects.toThrow(
    'token-list: fact 1 begins a row without',
  )
})
