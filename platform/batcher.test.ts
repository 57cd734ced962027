import { expect, test } from 'vitest'
import { batcher } from './batcher.ts'

test('what is asked while a batch is under way goes into the next one', async () => {
  const batches: number[][] = []
  const double = batcher<number, number>(
    async (items) => {
      batches.push([...items])
      await new Promise((resolve) => setTimeout(resolve, 5))
      return items.map((item) => item * 2)
    },
    { itemsMax: 3, waitingMax: 100 },
  )
  const first = double(1)
  await new Promise((resolve) => setTimeout(resolve, 1))
  const rest = [2, 3, 4, 5].map((item) => double(item))
  expect(await Promise.all([first, ...rest])).toEqual([2, 4, 6, 8, 10])
  expect(batches).toEqual([[1], [2, 3, 4], [5]])
})

test('asked at once, items share a batch from the first', async () => {
  const sizes: number[] = []
  const run = batcher<number, number>(
    async (items) => {
      sizes.push(items.length)
      return items
    },
    { itemsMax: 100, waitingMax: 100 },
  )
  await Promise.all([1, 2, 3].map((item) => run(item)))
  expect(sizes).toEqual([3])
})

test('a batch that fails rejects its own items and no others', async () => {
  const run = batcher<number, number>(
    async (items) => {
      if (items.includes(2)) throw new Error('no twos')
      return items
    },
    { itemsMax: 1, waitingMax: 100 },
  )
  const settled = await Promise.allSettled([1, 2, 3].map((item) => run(item)))
  expect(settled.map((s) => s.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('one item too many is refused at once, and there is room again later', async () => {
  const run = batcher<number, number>(async (items) => items, { itemsMax: 1, waitingMax: 2 })
  const [first, second, third] = await Promise.allSettled([run(1), run(2), run(3)])
  expect([first?.status, second?.status]).toEqual(['fulfilled', 'fulfilled'])
  expect(third).toMatchObject({ status: 'rejected', reason: { code: 'LOG_BUSY' } })
  expect(await run(4)).toBe(4)
})

test('a run that answers too few results rejects all of them', async () => {
  const run = batcher<number, number>(async () => [1], { itemsMax: 10, waitingMax: 10 })
  const settled = await Promise.allSettled([run(1), run(2)])
  expect(settled.map((s) => s.status)).toEqual(['rejected', 'rejected'])
})
