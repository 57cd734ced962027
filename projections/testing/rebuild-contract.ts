/** What a rebuild must do on every database; run by rebuild.test.ts and rebuild.pg.test.ts. */
import { describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../platform/clock.ts'
import type { FactsLog, Log } from '../../platform/log/log.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { allProjections, projectionMigrations } from '../index.ts'
import { jobList } from '../job-list/projection.ts'
import { type Projection, text } from '../projection.ts'
import { compareTables, rebuildProjection, rebuildProjections, tableDigest } from '../rebuild.ts'
import { tenantTree } from '../tenant-tree/projection.ts'
import { Stamp, submitted } from './facts.ts'
import { type History, history, partOf, recordOf, testCodec, writeHistory } from './history.ts'
import { faulty, type OpenedForTest, someTenant, stage } from './stage.ts'
import { tableRows } from './view.ts'

const raised: Projection = {
  ...tenantTree,
  version: 2,
  tableSql: () => tenantTree.tableSql().replace('seq bigint', 'origin text NOT NULL, seq bigint'),
  columns: { ...tenantTree.columns, origin: text },
  apply: (fact) =>
    tenantTree.apply(fact).map((op) => (op.op === 'insert' ? { ...op, values: { ...op.values, origin: 'v2' } } : op)),
}
const raisedViews = allProjections.map((p) => (p.name === raised.name ? raised : p))

/** Fifty times as fast as the system's. */
const hasty: Clock = { ...systemClock, after: (delayMs, run) => systemClock.after(delayMs / 50, run) }

export function rebuildContract(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    const on = stage(open)

    /** What is indexed, without the names, which a rebuild does not keep. */
    const indexesOf = (table: string) =>
      on.database.asOwner(async (tx) => {
        const { rows } = await tx.query<{ of: string }>(
          `SELECT substring(indexdef from ' USING .*') AS of FROM pg_indexes WHERE tablename = $1 ORDER BY 1`,
          [table],
        )
        return rows.map((row) => row.of)
      })

    test('gives the same table, byte for byte, for every view, and says how far it is', async () => {
      const past = history({ seed: 21, jobs: 120 })
      const projections = await on.start()
      await writeHistory(on.log, past)
      await on.caughtUp(projections, past)
      for (const projection of allProjections) {
        const before = await tableDigest(on.database, projection)
        const indexed = await indexesOf(projection.table)
        const steps: bigint[] = []
        const rebuilt = await rebuildProjection(projection.name, {
          log: on.log,
          codec: testCodec,
          database: on.database,
          factsMax: 100,
          onProgress: (progress) => void steps.push(progress.factsDone),
        })
        expect(await tableDigest(on.database, projection), projection.name).toEqual(before)
        expect(await indexesOf(projection.table), projection.name).toEqual(indexed)
        expect(rebuilt.facts).toBe(BigInt(past.byPartition.flat().length))
        expect(steps.at(-1)).toBe(rebuilt.facts)
        expect(steps).toEqual([...steps].sort((a, b) => Number(a - b)))
      }
      await on.expectViewsOf(past)
    })

    test('of all views at once reads the log once and gives the same tables, also beside a runner at work', async () => {
      const past = history({ seed: 25, jobs: 120 })
      const projections = await on.start({ factsMax: 9 })
      const writing = writeHistory(on.log, past, 5)
      const names = allProjections.map((projection) => projection.name)
      const parts = { log: on.log, codec: testCodec, database: on.database, factsMax: 70 }
      expect((await rebuildProjections(names, parts)).map((one) => one.projection).sort()).toEqual([...names].sort())
      await writing
      await on.caughtUp(projections, past)
      await on.expectViewsOf(past)
      expect(on.failures.filter((failure) => failure.isStopped)).toEqual([])
    })

    test('beside a runner at work, while facts go on being written', async () => {
      const past = history({ seed: 22, jobs: 100 })
      const projections = await on.start({ factsMax: 9 })
      const writing = writeHistory(on.log, past, 5)
      for (const { name } of [jobList, tenantTree, jobList])
        await rebuildProjection(name, { log: on.log, codec: testCodec, database: on.database, factsMax: 50 })
      await writing
      await on.caughtUp(projections, past)
      await on.expectViewsOf(past)
      expect(on.failures.filter((failure) => failure.isStopped)).toEqual([])
    })

    test('never takes the place of a live view that is ahead: readers do not go back in time', async () => {
      const past = history({ seed: 29, jobs: 40 })
      await writeHistory(on.log, past)
      const projections = await on.start()
      await on.caughtUp(projections, past)
      let asked = 0
      const late: Log = {
        ...on.log,
        // As when facts are written and shown between the rebuild's last look and its swap.
        async committed(partition) {
          const { intakeOffset, seq } = await on.log.committed(partition)
          return { intakeOffset, seq: asked++ < on.log.partitionCount ? seq - 5n : seq }
        },
      }
      const rebuilt = await rebuildProjection('audit-trail', {
        log: late,
        codec: testCodec,
        database: on.database,
        factsMax: 5,
      })
      expect(rebuilt.rounds).toBe(2)
      await on.expectViewsOf(past)
    })

    test('repairs a view that was damaged, and its rows stay isolated and read-only for tenants', async () => {
      const past = history({ seed: 23, jobs: 40 })
      const projections = await on.start()
      await writeHistory(on.log, past)
      await on.caughtUp(projections, past)
      await on.database.asService((tx) =>
        tx.query("UPDATE job_list SET charged_pico = 1, status = 'failed' WHERE job_id < 'job-2'"),
      )
      const damaged = await tableDigest(on.database, jobList)
      let beforeSwap: typeof damaged | undefined
      await rebuildProjection('job-list', {
        log: on.log,
        codec: testCodec,
        database: on.database,
        async beforeSwap() {
          beforeSwap = await tableDigest(on.database, jobList)
        },
      })
      expect(beforeSwap).toEqual(damaged)
      await on.expectViewsOf(past)
      const mine = await on.database.asTenant('tenant-1', (tx) => tx.query('SELECT DISTINCT tenant_id FROM job_list'))
      expect(mine.rows).toEqual([{ tenant_id: 'tenant-1' }])
      await expect(on.database.asTenant('tenant-1', (tx) => tx.query('DELETE FROM job_list'))).rejects.toThrow(
        /permission denied/,
      )
    })

    test('repairs it for good: what the live runner remembers of damaged rows does not come back', async () => {
      const past = history({ seed: 29, jobs: 200 })
      const upTo = (end: number) => partOf(past, 0, end)
      await writeHistory(on.log, upTo(100))
      const before = await on.start()
      await on.caughtUp(before, upTo(100))
      await before.stop()
      await on.database.asService((tx) => tx.query('UPDATE usage_by_day SET jobs = jobs + 1000'))
      const projections = await on.start()
      await writeHistory(on.log, partOf(past, 100, 200))
      await on.caughtUp(projections, upTo(200))
      await rebuildProjection('usage-by-day', { log: on.log, codec: testCodec, database: on.database })
      await on.expectViewsOf(upTo(200))
      await writeHistory(on.log, partOf(past, 200))
      await on.caughtUp(projections, past)
      await on.expectViewsOf(past)
    })

    test('after a crash half-way, begun anew', async () => {
      const past = history({ seed: 24, jobs: 60 })
      await writeHistory(on.log, past)
      const projections = await on.start()
      await on.caughtUp(projections, past)
      let transactions = 0
      const dying = faulty(on.database, () => (++transactions === 5 ? 'before commit' : undefined))
      const rebuild = (over: Database) =>
        rebuildProjection('job-list', { log: on.log, codec: testCodec, database: over, factsMax: 30 })
      await expect(rebuild(dying.database)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
      await on.expectViewsOf(past)
      await rebuild(on.database)
      await on.expectViewsOf(past)
      const left = await on.database.asOwner((tx) =>
        tx.query("SELECT 1 AS x FROM pg_tables WHERE tablename LIKE '%\\_\\_rebuild'"),
      )
      expect(left.rows).toEqual([])
    })

    test('two at once: one after the other, and the second says that it waits', async () => {
      const past = history({ seed: 25, jobs: 60 })
      await writeHistory(on.log, past)
      const projections = await on.start()
      await on.caughtUp(projections, past)
      const [done, waited] = [[] as string[], [] as string[]]
      const rebuild = async (who: string, database: Database) => {
        const parts = { log: on.log, codec: testCodec, database, factsMax: 20, onWait: () => void waited.push(who) }
        await rebuildProjection('job-list', parts)
        done.push(who)
      }
      await Promise.all([rebuild('one', on.database), rebuild('two', await on.another())])
      expect([...done].sort()).toEqual(['one', 'two'])
      expect(waited).toEqual([done[1]])
      await on.expectViewsOf(past)
    })

    test('one whose process is gone is taken over, and one that comes back then leaves the view alone', async () => {
      const past = history({ seed: 25, jobs: 60 })
      await writeHistory(on.log, past)
      const projections = await on.start()
      await on.caughtUp(projections, past)
      const goOn = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const frozen: FactsLog = {
        ...on.log,
        async readFacts(partition, cursor, options) {
          if (cursor.seq > 0n) await goOn.promise
          return on.log.readFacts(partition, cursor, options)
        },
      }
      const parts = { codec: testCodec, factsMax: 20 }
      const first = rebuildProjection('job-list', {
        ...parts,
        log: frozen,
        database: on.database,
        clock: { ...systemClock, after: () => () => {} },
        onProgress: () => begun.resolve(),
      })
      await begun.promise
      await rebuildProjection('job-list', { ...parts, log: on.log, database: await on.another(), clock: hasty })
      goOn.resolve()
      await expect(first).rejects.toMatchObject({ facts: { problem: 'another rebuild of this view has begun' } })
      await on.expectViewsOf(past)
    })

    test('of a name that no view has', async () => {
      await expect(
        rebuildProjection('nothing', { log: on.log, codec: testCodec, database: on.database }),
      ).rejects.toMatchObject({
        code: 'NOT_FOUND',
      })
    })

    test('at start, when the version was raised: the new table takes the old one’s place', async () => {
      const past = history({ seed: 26, jobs: 40 })
      await writeHistory(on.log, past)
      const old = await on.start()
      await on.caughtUp(old, past)
      await migrate(on.database, projectionMigrations(raisedViews))
      const seen: string[] = []
      const next = await on.start({
        projections: raisedViews,
        onRebuild: (progress) => void seen.push(progress.projection),
      })
      await on.caughtUp(next, past)
      expect(new Set(seen)).toEqual(new Set(['tenant-tree']))
      const rows = await tableRows(on.database, raised)
      expect(rows.map((row) => row['origin'])).toEqual(rows.map(() => 'v2'))
      expect(rows.length).toBeGreaterThan(2)

      // The old process finds its view taken over and stops; a new process of the old build does not start.
      const tenure = await on.log.acquire(0)
      const tenantId = someTenant()
      const stamp = new Stamp()
      stamp.seq = tenure.committed.seq
      await tenure.commit([recordOf(stamp.fact(tenantId, submitted('late')))], 0n)
      await next.caughtUp(0, stamp.seq)
      await expect(old.caughtUp(0, stamp.seq)).rejects.toMatchObject({ code: 'NOT_READY' })
      expect(on.failures.filter((failure) => failure.isStopped)).toMatchObject([
        { partition: 0, error: { code: 'SCHEMA_INCOMPATIBLE' } },
      ])
      await expect(on.start()).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' })
    })

    /** Views of the version before have caught up, and processes of the next build are about to start. */
    async function beforeRaise(seed: number): Promise<History> {
      const past = history({ seed, jobs: 60 })
      await writeHistory(on.log, past)
      const old = await on.start()
      await on.caughtUp(old, past)
      await old.stop()
      await migrate(on.database, projectionMigrations(raisedViews))
      return past
    }

    test('at start of two at once: one of them rebuilds, the other finds it done; a command beside them waits its turn', async () => {
      const past = await beforeRaise(30)
      const rebuilt: number[] = []
      const start = async (who: number, database: Database) =>
        on.start({ database, projections: raisedViews, factsMax: 5, onRebuild: () => void rebuilt.push(who) })
      const command = async (database: Database) =>
        rebuildProjection(raised.name, { log: on.log, codec: testCodec, projections: raisedViews, database })
      const [one, two, { facts }] = await Promise.all([
        start(1, on.database),
        start(2, await on.another()),
        command(await on.another()),
      ])
      await Promise.all([on.caughtUp(one, past), on.caughtUp(two, past)])
      expect(facts).toBe(BigInt(past.byPartition.flat().length))
      expect(new Set(rebuilt).size).toBeLessThanOrEqual(1) // None, when the command came first.
      expect((await tableRows(on.database, raised)).every((row) => row['origin'] === 'v2')).toBe(true)
      expect(on.failures).toEqual([])
    })

    test('at start of two at once, when the first one dies in the middle: the other goes on', async () => {
      const past = await beforeRaise(31)
      const dying = faulty(on.database, (transaction) => (transaction > 6 ? 'before commit' : undefined))
      const common = { projections: raisedViews, factsMax: 5 }
      await expect(on.start({ ...common, database: dying.database })).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
      })
      const next = await on.start({ ...common, database: await on.another(), clock: hasty })
      await on.caughtUp(next, past)
      expect((await tableRows(on.database, raised)).every((row) => row['origin'] === 'v2')).toBe(true)
    })

    test('at start, for a view that is new beside older ones', async () => {
      const past = history({ seed: 27, jobs: 40 })
      await writeHistory(on.log, past)
      const before = await on.start({ projections: allProjections.filter((p) => p.name !== 'ledger') })
      await on.caughtUp(before, past)
      await before.stop()
      const next = await on.start()
      await on.caughtUp(next, past)
      await on.expectViewsOf(past)
    })

    test('digests tell tables apart by a single value, and compare over many pages', async () => {
      const past = history({ seed: 28, jobs: 30 })
      const projections = await on.start()
      await writeHistory(on.log, past)
      await on.caughtUp(projections, past)
      await on.database.asOwner((tx) =>
        tx.query(`CREATE TABLE job_list__copy (LIKE job_list); INSERT INTO job_list__copy SELECT * FROM job_list; GRANT ALL ON job_list__copy TO pf3_service;
          INSERT INTO job_list SELECT (jsonb_populate_record(j, jsonb_build_object('job_id', 'x' || n))).* FROM job_list j, generate_series(1, 6000) n WHERE j.job_id = 'job-0';
          INSERT INTO job_list__copy SELECT * FROM job_list WHERE job_id LIKE 'x%'`),
      )
      const copy = { table: 'job_list__copy', keyColumns: jobList.keyColumns }
      const same = await compareTables(on.database, jobList, copy)
      expect(same).toMatchObject({ isEqual: true, rows: [6_030n, 6_030n] })
      await on.database.asService((tx) => tx.query("UPDATE job_list SET seq = seq + 1 WHERE job_id = 'x5999'"))
      expect(await compareTables(on.database, jobList, copy)).toMatchObject({
        isEqual: false,
        rows: [6_030n, 6_030n],
      })
      await on.database.asOwner((tx) => tx.query('DROP TABLE job_list__copy'))
    })
  })
}
