import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { bookPublished, noon, Stamp } from '../testing/facts.ts'
import { openView, type View } from '../testing/view.ts'
import { priceBooks } from './projection.ts'
import { bookByHash, bookInForce, bookPage } from './queries.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(priceBooks)
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

const inForce = (currency: string, now: bigint) =>
  view.asService(async (tx) => (await bookInForce(tx, currency, now))?.hash)

test('a book is kept to the byte', async () => {
  const book = '{"name":"a  b","ünïcode":"\\u0000 \\n","n":1.10}'
  await view.take(
    stamp.fact('platform', { type: 'PriceBookPublished', hash: 'h', currency: 'USD', effectiveFrom: 5n, book }),
  )
  expect(await view.asService((tx) => bookByHash(tx, 'h'))).toEqual({
    hash: 'h',
    currency: 'USD',
    effectiveFrom: 5n,
    publishedAt: noon + 1_000n,
    publishedBy: 'token:t1',
    book,
    seq: 1n,
  })
  expect(await view.asService((tx) => bookByHash(tx, 'x'))).toBeUndefined()
})

test('in force is the latest effective book of the currency; of equals the one published last', async () => {
  await view.take(
    stamp.fact('platform', bookPublished('old', 10n)),
    stamp.fact('platform', bookPublished('future', 30n)),
    stamp.fact('platform', bookPublished('new', 20n)),
    stamp.fact('platform', bookPublished('tie', 20n)),
    stamp.fact('platform', bookPublished('euro', 25n, 'EUR')),
  )
  expect(await Promise.all([9n, 10n, 19n, 20n, 29n, 30n].map((now) => inForce('USD', now)))).toEqual([
    undefined,
    'old',
    'old',
    'tie',
    'tie',
    'future',
  ])
  expect(await inForce('EUR', 25n)).toBe('euro')
  expect(await inForce('JPY', 25n)).toBeUndefined()
})

test('publishing a book again does not put it in front of a later one', async () => {
  await view.take(
    stamp.fact('platform', bookPublished('first', 10n)),
    stamp.fact('platform', bookPublished('second', 10n)),
  )
  await view.take(stamp.fact('platform', bookPublished('first', 10n)))
  expect(await inForce('USD', 11n)).toBe('second')
})

test('pages: newest publication first, without the texts', async () => {
  await view.take(...['a', 'b', 'c'].map((hash) => stamp.fact('platform', bookPublished(hash, 1n))))
  const first = await view.asService((tx) => bookPage(tx, { limit: 2 }))
  expect([first.items.map((book) => book.hash), first.next]).toEqual([['c', 'b'], 2n])
  expect(first.items[0]).not.toHaveProperty('book')
  expect(await view.asService((tx) => bookPage(tx, { limit: 2, beforeSeq: 2n }))).toMatchObject({
    items: [{ hash: 'a' }],
    next: null,
  })
})

test('a tenant does not reach the table by itself', async () => {
  await view.take(stamp.fact('platform', bookPublished('a', 1n)))
  expect(await view.asTenant('harbor', (tx) => bookByHash(tx, 'a'))).toBeUndefined()
})
