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

test('what is the fault of some items rejects these, and the others of the batch run again', async () => {
  const batches: number[][] = []
  const run = batcher<number, number>(
    async (items) => {
      batches.push([...items])
      const odd = items.find((item) => item % 2 === 1)
      if (odd !== undefined) throw new Error(`${odd} is odd`)
      return items
    },
    { itemsMax: 100, waitingMax: 100, isFaultOf: (error, item) => String(error).includes(`${item} is`) },
  )
  const settled = await Promise.allSettled([1, 2, 3, 4, 1].map((item) => run(item)))
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'])
  expect(batches).toEqual([
    [1, 2, 3, 4, 1],
    [2, 3, 4],
    [2, 4],
  ])
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

test('while it is busy batches keep their distance, and who comes after a pause waits for nobody', async () => {
  let nowMs = 1_000
  let isBusy = true
  let timers: { atMs: number; run: () => void }[] = []
  const clock = {
    nowMs: () => nowMs,
    after(delayMs: number, run: () => void) {
      timers.push({ atMs: nowMs + delayMs, run })
      return () => undefined
    },
  }
  const goOn = async (toMs: number) => {
    nowMs = toMs
    const due = timers.filter(({ atMs }) => atMs <= toMs)
    timers = timers.filter(({ atMs }) => atMs > toMs)
    for (const { run } of due) run()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const batches: number[][] = []
  const run = batcher<number, number>(
    async (items) => {
      batches.push([...items])
      return items
    },
    { itemsMax: 10, waitingMax: 10, pace: { clock, everyMs: 8, isBusy: () => isBusy } },
  )
  const all = [run(1)]
  await goOn(1_000)
  expect(batches, 'the first one waits for nobody').toEqual([[1]])
  all.push(run(2))
  await goOn(1_002)
  all.push(run(3))
  await goOn(1_004)
  expect(batches).toEqual([[1]])
  await goOn(1_008)
  expect(batches).toEqual([[1], [2, 3]])
  await goOn(1_020)
  all.push(run(4))
  await goOn(1_020)
  expect(batches, 'after a pause').toEqual([[1], [2, 3], [4]])
  isBusy = false
  all.push(run(5))
  await goOn(1_021)
  expect(batches.at(-1), 'not busy').toEqual([5])
  isBusy = true
  nowMs = 500
  all.push(run(6))
  await goOn(500)
  expect(
    timers.map(({ atMs }) => atMs),
    'a clock that was set back',
  ).toEqual([508])
  await goOn(508)
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5, 6])
})
