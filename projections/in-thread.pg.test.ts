import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { inProcessRelay, jobChangedTopic, type Relay } from '../platform/relay/relay.ts'
import type { SchemaRegistry } from '../schemas/codec.ts'
import { startProjectionsInThread } from './in-thread.ts'
import { allProjections } from './index.ts'
import { startProjections } from './runner.ts'
import { history, partOf, recordOf, testCodec, testRegistry, writeHistory } from './testing/history.ts'
import { onPostgres } from './testing/on-postgres.ts'
import { type OpenedForTest, stage } from './testing/stage.ts'
import { viewsContract } from './testing/views-contract.ts'

/** Of the database that `open` opened last. */
let postgresUrl = ''

async function open(): Promise<OpenedForTest> {
  const opened = await onPostgres()
  postgresUrl = opened.url
  return {
    ...opened,
    start: (parts) => startProjectionsInThread({ ...parts, postgresUrl, schemaOf: testRegistry.schemaOf }),
  }
}

viewsContract('views in a thread of their own, on PostgreSQL', open)

describe('a thread for the views', () => {
  const on = stage(open)
  const onFailure = (failure: (typeof on.failures)[number]) => void on.failures.push(failure)
  const here = () => ({ log: on.log, relay: inProcessRelay(), onFailure })

  test('fills a view that is new beside older ones before it says that it has begun', async () => {
    const past = history({ seed: 31, jobs: 40 })
    await writeHistory(on.log, past)
    const projections = allProjections.filter(({ name }) => name !== 'ledger')
    const before = await startProjections({
      ...here(),
      codec: testCodec,
      database: on.database,
      clock: systemClock,
      projections,
    })
    await on.caughtUp(before, past)
    await before.stop()
    const next = await on.start()
    await on.expectViewsOf(past)
    expect(next.health().map(({ phase }) => phase)).toEqual(['running', 'running'])
  })

  test('beside another process one of them writes, and who waits is told in either', async () => {
    const past = history({ seed: 32, jobs: 120 })
    const heard = [new Set<string>(), new Set<string>()] as const
    const hearing = (of: Set<string>): Relay => ({ ...inProcessRelay(), publish: (topic) => void of.add(topic) })
    const both = await Promise.all(heard.map((of) => on.start({ factsMax: 9, relay: hearing(of) })))
    // Who waits before a runner has seen where it stands, looks by itself.
    await writeHistory(on.log, partOf(past, 0, 10), 10)
    await Promise.all(both.map((views) => on.caughtUp(views, partOf(past, 0, 10))))
    await writeHistory(on.log, partOf(past, 10), 30)
    await Promise.all(both.map((views) => on.caughtUp(views, past)))
    await on.expectViewsOf(past)
    const jobs = partOf(past, 10)
      .byPartition.flat()
      .flatMap((fact) => ('jobId' in fact ? [jobChangedTopic(fact.tenantId, fact.jobId)] : []))
    for (const topics of heard) await expect.poll(() => jobs.filter((topic) => !topics.has(topic))).toEqual([])
    expect(on.failures).toEqual([])
  })

  test('asks for each schema once, and for one that nobody knows it stops its partition', async () => {
    const past = history({ seed: 33, jobs: 60 })
    const [first = [], second = []] = past.byPartition
    const last = first.at(-1)
    if (!last) throw new Error('The history has facts.')
    const strange = recordOf(last)
    const value = Buffer.from(strange.value)
    value.writeUInt32BE(9_999, 1)
    await writeHistory(on.log, { byPartition: [[], second] })
    const tenure = await on.log.acquire(0)
    await tenure.commit([...first.slice(0, -1).map(recordOf), { ...strange, value }], 0n)
    const asked: number[] = []
    const schemaOf: SchemaRegistry['schemaOf'] = (id) => {
      asked.push(id)
      return testRegistry.schemaOf(id)
    }
    const views = await startProjectionsInThread({ ...here(), postgresUrl, schemaOf, factsMax: 7 })
    onTestFinished(views.stop)
    await views.caughtUp(1, BigInt(second.length))
    await expect(views.caughtUp(0, last.seq)).rejects.toMatchObject({ code: 'NOT_READY' })
    expect(on.failures).toMatchObject([
      { partition: 0, seq: last.seq, isStopped: true, error: { code: 'SCHEMA_UNKNOWN' } },
    ])
    expect(asked).toContain(9_999)
    expect(asked.length).toBeGreaterThan(5)
    // Both partitions may come upon one at the same time.
    expect(asked.length).toBeLessThanOrEqual(2 * new Set(asked).size)
  })

  test('throws what kept it from beginning, and is gone then', async () => {
    const elsewhere = new URL(postgresUrl)
    elsewhere.pathname = '/no_such_database'
    const schemaOf = testRegistry.schemaOf
    await expect(startProjectionsInThread({ ...here(), postgresUrl: elsewhere.href, schemaOf })).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
    })
    await on.database.asOwner((tx) => tx.query('ALTER TABLE projection_position RENAME COLUMN version TO lost'))
    await expect(startProjectionsInThread({ ...here(), postgresUrl, schemaOf })).rejects.toMatchObject({
      code: '42703',
    })
  })

  test('that dies is told of at once, as of views that stand still for good', async () => {
    const views = await startProjectionsInThread({
      ...here(),
      postgresUrl,
      schemaOf: testRegistry.schemaOf,
      file: new URL('./testing/dying-thread.ts', import.meta.url),
    })
    expect(views.health()).toMatchObject([{ phase: 'running', seq: 7n }])
    const ill = { message: expect.stringContaining('the thread is ill') }
    await expect(views.caughtUp(0, 8n)).rejects.toMatchObject(ill)
    expect(on.failures).toMatchObject([{ isStopped: true, error: ill }])
    expect(views.health()).toMatchObject([{ phase: 'stopped', seq: 7n }])
    await views.stop()
  })

  test('that is stopped ends the reads it waits for, and fails nobody', async () => {
    const waiting = Promise.withResolvers<void>()
    const log: typeof on.log = {
      ...on.log,
      readFacts: (_, cursor, { signal }) => {
        waiting.resolve()
        return new Promise((resolve) => {
          const end = () => resolve({ facts: [], cursor })
          if (signal?.aborted) end()
          else signal?.addEventListener('abort', end)
        })
      },
    }
    const views = await on.start({ log })
    await waiting.promise
    await views.stop()
    await views.stop()
    expect(on.failures).toEqual([])
    await expect(views.caughtUp(0, 1n)).rejects.toMatchObject({ code: 'NOT_READY' })
  })
})
