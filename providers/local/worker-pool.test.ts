import { expect, onTestFinished, test } from 'vitest'
import { PoolError, workerPool } from './worker-pool.ts'

/** Labels and examples that keep a thread for a while. */
const content = new TextEncoder().encode(
  JSON.stringify({
    labels: ['even', 'odd'],
    examples: Array.from({ length: 600 }, (_, index) => ({
      text: Array.from({ length: 200 }, (_, word) => `w${(index * 7 + word * 13) % 5_000}`).join(' '),
      label: index % 2 === 0 ? 'even' : 'odd',
    })),
  }),
)
function start(threads: number) {
  const pool = workerPool({ threads })
  onTestFinished(() => pool.close())
  const ended: string[] = []
  const note = (name: string, result: Promise<unknown>) => result.then(() => ended.push(name))
  return {
    pool,
    ended,
    slow: (name: string) => note(name, pool.start<'fit'>({ kind: 'fit', content }).result),
    short: (name: string) => note(name, pool.start<'sentiment'>({ kind: 'sentiment', text: 'good' }).result),
  }
}

test('however many fits there are, one thread is left for what is short', async () => {
  const { slow, short, ended } = start(2)
  await Promise.all([slow('fit 1'), slow('fit 2'), short('short')])
  expect(ended).toEqual(['short', 'fit 1', 'fit 2'])
})

test('a single thread takes turns', async () => {
  const { slow, short, ended } = start(1)
  await Promise.all([short('short 1'), slow('fit'), short('short 2')])
  expect(ended).toEqual(['short 1', 'fit', 'short 2'])
})

test('a task that waits can be dropped, one that has begun goes on', async () => {
  const { pool } = start(1)
  const begun = pool.start<'fit'>({ kind: 'fit', content })
  const waiting = pool.start<'sentiment'>({ kind: 'sentiment', text: 'good' })
  expect([begun.drop(), waiting.drop(), waiting.drop()]).toEqual([false, true, false])
  await expect(waiting.result).rejects.toThrow(PoolError)
  expect((await begun.result).labels).toEqual(['even', 'odd'])
})

test('a task that fails says so, and the thread takes the next', async () => {
  const { pool } = start(1)
  const broken = pool.start<'fit'>({ kind: 'fit', content: new TextEncoder().encode('{') })
  await expect(broken.result).rejects.toThrow(SyntaxError)
  expect(await pool.start<'sentiment'>({ kind: 'sentiment', text: 'good' }).result).toMatchObject({
    sentiment: 'positive',
  })
})

test('a very short text that is alone is answered in this thread, and answered alike', async () => {
  const { pool } = start(1)
  const model = await pool.start<'fit'>({ kind: 'fit', content }).result
  await import('./worker.ts') // What the pool has begun to load with its first task.
  const sentiment = (text: string) => pool.start<'sentiment'>({ kind: 'sentiment', text }).result
  const order: string[] = []
  const note = (what: string) => order.push(what)
  setImmediate(() => setImmediate(() => note('two turns later')))
  const atOnce = await sentiment('good '.repeat(40))
  note('answered')
  expect(order).toEqual(['answered'])
  const inThread = await sentiment('good '.repeat(41))
  expect(inThread).toMatchObject({ sentiment: atOnce.sentiment, words: 41 })
  const odd = Object.assign({ ...model }, { weights: undefined })
  await expect(pool.start<'classify'>({ kind: 'classify', model: odd, text: 'w1' }).result).rejects.toThrow(TypeError)
})

test('of tasks that go to a thread together each has its own answer, also where one fails', async () => {
  const { pool } = start(1)
  const model = await pool.start<'fit'>({ kind: 'fit', content }).result
  const odd = Object.assign({ ...model }, { weights: undefined })
  const tasks = Array.from({ length: 30 }, (_, index) =>
    index % 10 === 9
      ? pool.start<'classify'>({ kind: 'classify', model: odd, text: 'w1' })
      : pool.start<'sentiment'>({ kind: 'sentiment', text: index % 2 === 0 ? 'good' : 'bad' }),
  )
  const answers = await Promise.allSettled(tasks.map(({ result }) => result))
  const said = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason))
  for (const [index, answer] of said.entries()) {
    if (index % 10 === 9) expect(answer).toBeInstanceOf(TypeError)
    else expect(answer).toMatchObject({ sentiment: index % 2 === 0 ? 'positive' : 'negative' })
  }
})

test('a short task that comes after a fit in a turn is started all the same, and a fit is not passed over for ever', async () => {
  const { slow, short, ended } = start(1)
  await Promise.all([slow('fit'), short('short')])
  expect(ended).toEqual(['fit', 'short'])
  const names = Array.from({ length: 200 }, (_, index) => `short ${index}`)
  const before = names.slice(0, 100).map(short)
  const fit = slow('another fit')
  await Promise.all([...before, fit, ...names.slice(100).map(short)])
  expect(ended.indexOf('another fit')).toBe(2 + 100)
})

test('what is dropped is not computed, those before and after it in the line are', async () => {
  const { pool } = start(1)
  const tasks = Array.from({ length: 5 }, () => pool.start<'sentiment'>({ kind: 'sentiment', text: 'good' }))
  expect(tasks[2]?.drop()).toBe(true)
  const answers = await Promise.allSettled(tasks.map(({ result }) => result))
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
})

test('more than ten thousand waiting tasks are refused', async () => {
  const { pool } = start(1)
  const tasks = Array.from({ length: 10_002 }, () => pool.start<'sentiment'>({ kind: 'sentiment', text: 'good' }))
  await expect(tasks.at(-1)?.result).rejects.toThrow('10000 tasks are waiting already')
  for (const { drop, result } of tasks.slice(1, -1)) {
    result.catch(() => undefined)
    drop()
  }
  await tasks[0]?.result
})
