import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import type { Database, Tx } from '../postgres/database.ts'
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../postgres/embedded.ts'
import { migrate } from '../postgres/migrate.ts'
import { notesMax, type TokenUse, tokenUse, tokenUseMigrations, writeEveryMs } from './token-use.ts'

let database: EmbeddedDatabase
let nowMs: number
let timers: { atMs: number; run: () => void }[]
let faults: unknown[]
const clock: Clock = {
  nowMs: () => nowMs,
  after(delayMs, run) {
    const timer = { atMs: nowMs + delayMs, run }
    timers.push(timer)
    return () => {
      timers = timers.filter((one) => one !== timer)
    }
  },
}
function pass(ms: number): void {
  nowMs += ms
  const due = timers.filter((timer) => timer.atMs <= nowMs)
  timers = timers.filter((timer) => timer.atMs > nowMs)
  for (const timer of due) timer.run()
}
const open = (over: Partial<Database> = {}): TokenUse =>
  tokenUse({ database: { ...database, ...over }, clock, onFault: (error) => faults.push(error) })

beforeAll(async () => {
  database = await openEmbeddedDatabase()
  await migrate(database, tokenUseMigrations)
})
afterAll(() => database.close())
beforeEach(async () => {
  nowMs = 1_800_000_000_000
  timers = []
  faults = []
  await database.asService((tx) => tx.query('DELETE FROM token_use'))
})

const a = { tenantId: 'one', tokenId: 'a' }
const b = { tenantId: 'one', tokenId: 'b' }

test('uses are written together, once a minute, and each tenant sees its own', async () => {
  let writes = 0
  const asService = <T>(run: (tx: Tx) => Promise<T>): Promise<T> => {
    writes++
    return database.asService(run)
  }
  const use = open({ asService })
  for (let n = 0; n < 500; n++) {
    use.used(n % 2 === 0 ? a : b)
    pass(100)
  }
  use.used({ tenantId: 'two', tokenId: 'a' })
  expect([writes, await use.lastUsed('one', ['a', 'b'])]).toEqual([0, [null, null]])
  const lastMs = nowMs
  pass(writeEveryMs)
  await expect.poll(() => use.lastUsed('one', ['b', 'none', 'a'])).toEqual([lastMs - 100, null, lastMs - 200])
  expect(await use.lastUsed('two', ['a', 'b'])).toEqual([lastMs, null])
  expect(writes).toBe(1)
  await use.stop()
  expect(writes).toBe(1)
})

test('a later use replaces an earlier one, whichever door writes last', async () => {
  const [fast, slow] = [open(), open()]
  slow.used(a)
  pass(10)
  fast.used(a)
  await fast.stop()
  await slow.stop()
  expect(await fast.lastUsed('one', ['a'])).toEqual([nowMs])
  expect(timers).toEqual([])
})

test('a write that fails is told of, and its notes go into the next', async () => {
  let isDown = true
  const asService = <T>(run: (tx: Tx) => Promise<T>): Promise<T> =>
    isDown ? Promise.reject(new Error('down')) : database.asService(run)
  const use = open({ asService })
  use.used(a)
  const usedMs = nowMs
  pass(writeEveryMs)
  await expect.poll(() => faults.length).toBe(1)
  isDown = false
  await expect.poll(() => timers.length).toBe(1)
  pass(writeEveryMs)
  await expect.poll(() => use.lastUsed('one', ['a'])).toEqual([usedMs])
  await use.stop()
})

test('more tokens than can be noted cost nothing but their note', async () => {
  const use = open()
  for (let n = 0; n <= notesMax; n++) use.used({ tenantId: 'one', tokenId: `t${n}` })
  await use.stop()
  const { rows } = await database.asService((tx) => tx.query<{ n: number }>('SELECT count(*)::int AS n FROM token_use'))
  expect(rows).toEqual([{ n: notesMax }])
  expect(await use.lastUsed('one', ['t0', `t${notesMax}`])).toEqual([nowMs, null])
}, 60_000)
