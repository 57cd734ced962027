/** What the runner and the rebuild must do on every database; run by runner.test.ts and runner.pg.test.ts. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { PlatformError } from '../../platform/errors.ts'
import type { Log } from '../../platform/log/log.ts'
import { type SimulatedFaults, type SimulatedLog, simulatedLog } from '../../platform/log/simulated.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { answeredTopic, inProcessRelay, jobEndedTopic, type Relay } from '../../platform/relay/relay.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { allProjections, projectionMigrations } from '../index.ts'
import { jobList } from '../job-list/projection.ts'
import { jobById } from '../job-list/queries.ts'
import { memoryProjections } from '../memory-runner.ts'
import { type Projection, text } from '../projection.ts'
import { compareTables, rebuildProjection, tableDigest } from '../rebuild.ts'
import { type ProjectionFailure, type ProjectionParts, type Projections, startProjections } from '../runner.ts'
import { rebuildSuffix } from '../tables.ts'
import { tenantTree } from '../tenant-tree/projection.ts'
import { directoryVersion } from '../tenant-tree/queries.ts'
import { admitted, rated, refused, Stamp, started, submitted, succeeded } from './facts.ts'
import { type History, history, recordOf, seededRandom, testCodec, writeHistory } from './history.ts'
import { tableRows } from './view.ts'

export type OpenedForTest = {
  database: Database
  /** A second client of the same database, as another process would have it. */
  another: () => Promise<Database>
  close: () => Promise<void>
}

export function runnerContract(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    let opened: OpenedForTest
    let database: Database
    let log: SimulatedLog
    let running: Projections[] = []
    let failures: ProjectionFailure[] = []

    beforeAll(async () => {
      opened = await open()
      database = opened.database
    })
    afterAll(() => opened.close())
    beforeEach(async () => {
      failures = []
      log = newLog()
      await database.asOwner(async (tx) => {
        await tx.query('DROP TABLE IF EXISTS pf3_migration, projection_position')
        for (const { table } of allProjections)
          await tx.query(`DROP TABLE IF EXISTS ${table}, ${table}${rebuildSuffix}`)
      })
      await migrate(database, projectionMigrations())
    })
    afterEach(async () => {
      await Promise.all(running.map((projections) => projections.stop()))
      running = []
      await log.close()
    })

    const newLog = (faults: Partial<SimulatedFaults> = {}, seed = 1): SimulatedLog =>
      simulatedLog({ partitionCount: 2, clock: systemClock, random: seededRandom(seed), faults })

    async function start(over: Partial<ProjectionParts> = {}): Promise<Projections> {
      const onFailure = (failure: ProjectionFailure) => void failures.push(failure)
      const projections = await startProjections({
        log,
        codec: testCodec,
        database,
        relay: inProcessRelay(),
        clock: systemClock,
        onFailure,
        ...over,
      })
      running.push(projections)
      return projections
    }
    const caughtUp = (projections: Projections, { byPartition }: Pick<History, 'byPartition'>): Promise<unknown> =>
      Promise.all(byPartition.map((facts, partition) => projections.caughtUp(partition, BigInt(facts.length))))

    /** The tables hold exactly what the memory runner has after the same facts. */
    async function expectViewsOf({ byPartition }: Pick<History, 'byPartition'>, over = database): Promise<void> {
      const memory = memoryProjections(allProjections)
      for (const facts of byPartition) memory.apply(facts)
      for (const projection of allProjections) {
        expect(await tableRows(over, projection), projection.name).toEqual(memory.rows(projection.name))
      }
    }

    /** Counts what the runner asks of the database, and lets some of it fail. */
    function faulty(real: Database, fails: (transaction: number) => 'before commit' | 'after commit' | undefined) {
      const seen = { transactions: 0, failed: 0, rolledBack: 0 }
      const lost = () => {
        seen.failed++
        return new PlatformError('DATABASE_UNAVAILABLE', { during: 'a test' })
      }
      const broken: Database = {
        ...real,
        async asService(run) {
          const fault = fails(++seen.transactions)
          const result = await real
            .asService(async (tx) => {
              const answer = await run(tx)
              if (fault === 'before commit') throw lost()
              return answer
            })
            .catch((error: unknown) => {
              seen.rolledBack++
              throw error
            })
          if (fault === 'after commit') throw lost()
          return result
        },
      }
      return { database: broken, seen }
    }

    test('a history comes out as in memory, from a log that reads short and fails now and then', async () => {
      log = newLog({ shortRead: 0.5, readFailed: 0.1, delayMsMax: 2 })
      const past = history({ seed: 11, jobs: 80 })
      const projections = await start({ factsMax: 37 })
      await writeHistory(log, past, 50)
      await caughtUp(projections, past)
      await expectViewsOf(past)
      expect(projections.health()).toMatchObject(
        [0, 1].map((partition) => ({
          partition,
          phase: 'running',
          seq: BigInt(past.byPartition[partition]?.length ?? 0),
        })),
      )
      expect(failures.every((failure) => !failure.isStopped)).toBe(true)
      expect(failures.length).toBeGreaterThan(0)
    })

    test('goes on where the last process stopped, also one that was stopped half-way', async () => {
      const past = history({ seed: 12, jobs: 100 })
      await writeHistory(log, past)
      const first = await start({ factsMax: 20 })
      await first.caughtUp(0, 100n)
      await first.stop()
      const [half] = first.health()
      expect(half?.phase).toBe('stopped')
      const second = await start()
      await caughtUp(second, past)
      await expectViewsOf(past)
      await expect(first.caughtUp(0, 10n ** 9n)).rejects.toMatchObject({ code: 'NOT_READY' })
    })

    test('two processes race over the same partitions: every fact counts once', async () => {
      const past = history({ seed: 13, jobs: 120 })
      const other = await opened.another()
      const never = () => undefined
      const [one, two] = [faulty(database, never), faulty(other, never)]
      const both = await Promise.all([
        start({ database: one.database, factsMax: 7 }),
        start({ database: two.database, factsMax: 11 }),
      ])
      await writeHistory(log, past, 60)
      await Promise.all(both.map((projections) => caughtUp(projections, past)))
      await expectViewsOf(past)
      expect(one.seen.rolledBack + two.seen.rolledBack, 'they did meet').toBeGreaterThan(5)
      expect(failures).toEqual([])
      await Promise.all(both.map((projections) => projections.stop()))
      await other.close()
    })

    test('a transaction that dies before its commit, or whose commit is not reported, is neither lost nor done twice', async () => {
      const past = history({ seed: 14, jobs: 100 })
      const { fraction } = seededRandom(3)
      const broken = faulty(database, (transaction) => {
        if (transaction <= 3) return undefined // Start reads and makes positions first.
        const dice = fraction()
        return dice < 0.15 ? 'before commit' : dice < 0.3 ? 'after commit' : undefined
      })
      await writeHistory(log, past)
      const projections = await start({
        database: broken.database,
        factsMax: 40,
        clock: { ...systemClock, after: (_, run) => systemClock.after(1, run) },
      })
      await untilSeq(projections, past)
      await expectViewsOf(past)
      expect(broken.seen.failed).toBeGreaterThan(5)
      expect(failures.every((failure) => !failure.isStopped)).toBe(true)
    })

    /** As `caughtUp`, for a clock on which every wait is over at once. */
    async function untilSeq(projections: Projections, { byPartition }: Pick<History, 'byPartition'>): Promise<void> {
      const isThere = () =>
        projections.health().every(({ partition, seq }) => seq === BigInt(byPartition[partition]?.length ?? 0))
      while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 5))
    }

    describe('a fact that cannot be taken in', () => {
      const past = history({ seed: 15, jobs: 60 })
      const [first = [], second = []] = past.byPartition
      const poisonAt = 150

      async function writeWith(poison: (good: Fact) => ReturnType<typeof recordOf>): Promise<void> {
        await writeHistory(log, { byPartition: [[], second] })
        const tenure = await log.acquire(0)
        await tenure.commit(
          first.map((fact, index) => (index === poisonAt - 1 ? poison(fact) : recordOf(fact))),
          0n,
        )
      }

      async function expectStoppedBefore(projections: Projections): Promise<void> {
        await projections.caughtUp(1, BigInt(second.length))
        await expect(projections.caughtUp(0, BigInt(first.length))).rejects.toMatchObject({ code: 'NOT_READY' })
        await expectViewsOf({ byPartition: [first.slice(0, poisonAt - 1), second] })
        const stops = failures.filter((failure) => failure.isStopped)
        expect(stops).toMatchObject([{ partition: 0, seq: BigInt(poisonAt) }])
        expect(stops[0]?.stream).toBeDefined()
        expect(stops[0]?.offset).toBeDefined()
        expect(projections.health()).toMatchObject([
          { phase: 'stopped', seq: BigInt(poisonAt - 1), stoppedAt: BigInt(poisonAt), problem: expect.any(String) },
          { phase: 'running', seq: BigInt(second.length) },
        ])
      }

      test('because it cannot be decoded: its partition stops before it, the other goes on', async () => {
        await writeWith((fact) => ({ ...recordOf(fact), value: Buffer.from('not an event') }))
        const projections = await start()
        await expectStoppedBefore(projections)
        await projections.stop()
        failures = []
        await expectStoppedBefore(await start()) // And again, at the same place, for a new process.
      })

      test('because it is another fact than its position promises', async () => {
        await writeWith((fact) => ({ ...recordOf({ ...fact, seq: 999n }), seq: fact.seq }))
        await expectStoppedBefore(await start())
      })

      test('because no row can come of it', async () => {
        await writeWith((fact) => ({
          ...recordOf({ ...fact, ...rated('never-submitted') }),
          stream: 'billing',
          seq: fact.seq,
        }))
        await expectStoppedBefore(await start())
      })

      test('because the database refuses its rows', async () => {
        // A table of another shape than the projection says, as after a change made by hand.
        await database.asOwner((tx) =>
          tx.query(
            `ALTER TABLE audit_trail ADD CONSTRAINT by_hand CHECK (seq <> ${poisonAt} OR tenant_id = 'tenant-1')`,
          ),
        )
        const [victim] = first.slice(poisonAt - 1)
        expect(victim?.tenantId).not.toBe('tenant-1')
        await writeHistory(log, { byPartition: past.byPartition })
        await expectStoppedBefore(await start())
      })
    })

    test('tells the relay when an answer is readable, and of a job when its charge is', async () => {
      const stamp = new Stamp()
      const partition = 0
      const tenantId = past0()
      const heard: string[] = []
      const seen: unknown[] = []
      const real = inProcessRelay()
      const relay: Relay = {
        ...real,
        publish(topic, message) {
          heard.push(topic)
          real.publish(topic, message)
        },
      }
      real.listen(jobEndedTopic(tenantId, 'j1'), () =>
        seen.push(database.asService((tx) => jobById(tx, tenantId, 'j1'))),
      )
      const projections = await start({ relay, factsMax: 1 })
      const tenure = await log.acquire(partition)
      const asked = { causedBy: 'req-1', intakeOffset: 1n }
      const facts = [
        stamp.fact(tenantId, submitted('j1'), asked),
        stamp.fact(tenantId, admitted('j1'), asked),
        stamp.fact(tenantId, started('j1')),
        stamp.fact(tenantId, succeeded('j1')),
        stamp.fact(tenantId, rated('j1')),
        stamp.fact(tenantId, submitted('j2'), { causedBy: 'req-2', intakeOffset: 2n }),
        stamp.fact(tenantId, refused('j2'), { causedBy: 'req-2', intakeOffset: 2n }),
      ]
      await tenure.commit(facts.map(recordOf), 0n)
      await projections.caughtUp(partition, 7n)
      expect(heard).toEqual([
        answeredTopic(tenantId, 'req-1'),
        answeredTopic(tenantId, 'req-1'),
        jobEndedTopic(tenantId, 'j1'),
        answeredTopic(tenantId, 'req-2'),
        jobEndedTopic(tenantId, 'j2'),
        answeredTopic(tenantId, 'req-2'),
      ])
      expect(await Promise.all(seen)).toMatchObject([{ status: 'succeeded', chargedPico: 230n }])
    })

    /** Some tenant of partition 0. */
    const past0 = (): string =>
      history({ seed: 1, jobs: 1 }).byPartition[0]?.find((fact) => fact.tenantId !== platformTenantId)?.tenantId ?? ''

    test('the directory version is what the views show of the directory', async () => {
      const past = history({ seed: 16, jobs: 80 })
      const projections = await start()
      expect(await database.asService(directoryVersion)).toBe(0n)
      await writeHistory(log, past)
      await caughtUp(projections, past)
      expect(await database.asService(directoryVersion)).toBe(await log.directoryEnd())
      expect(await log.directoryEnd()).toBeGreaterThan(4n)
    })

    test('waiting ends with an error when the time is over', async () => {
      const projections = await start()
      await expect(projections.caughtUp(0, 1n, 10)).rejects.toMatchObject({ code: 'NOT_READY' })
      await expect(projections.caughtUp(9, 1n)).rejects.toMatchObject({ code: 'INTERNAL' })
    })

    describe('rebuild', () => {
      test('gives the same table, byte for byte, for every view, and says how far it is', async () => {
        const past = history({ seed: 21, jobs: 120 })
        const projections = await start()
        await writeHistory(log, past)
        await caughtUp(projections, past)
        for (const projection of allProjections) {
          const before = await tableDigest(database, projection)
          const steps: bigint[] = []
          const rebuilt = await rebuildProjection(projection.name, {
            log,
            codec: testCodec,
            database,
            factsMax: 100,
            onProgress: (progress) => void steps.push(progress.factsDone),
          })
          expect(await tableDigest(database, projection), projection.name).toEqual(before)
          expect(rebuilt.facts).toBe(BigInt(past.byPartition.flat().length))
          expect(steps.at(-1)).toBe(rebuilt.facts)
          expect(steps).toEqual([...steps].sort((a, b) => Number(a - b)))
        }
        await expectViewsOf(past)
      })

      test('beside a runner at work, while facts go on being written', async () => {
        const past = history({ seed: 22, jobs: 100 })
        const projections = await start({ factsMax: 9 })
        const writing = writeHistory(log, past, 5)
        for (const { name } of [jobList, tenantTree, jobList])
          await rebuildProjection(name, { log, codec: testCodec, database, factsMax: 50 })
        await writing
        await caughtUp(projections, past)
        await expectViewsOf(past)
        expect(failures.filter((failure) => failure.isStopped)).toEqual([])
      })

      test('never takes the place of a live view that is ahead: readers do not go back in time', async () => {
        const past = history({ seed: 29, jobs: 40 })
        await writeHistory(log, past)
        const projections = await start()
        await caughtUp(projections, past)
        let asked = 0
        const late: Log = {
          ...log,
          // As when facts are written and shown between the rebuild's last look and its swap.
          async committed(partition) {
            const { intakeOffset, seq } = await log.committed(partition)
            return { intakeOffset, seq: asked++ < log.partitionCount ? seq - 5n : seq }
          },
        }
        const rebuilt = await rebuildProjection('audit-trail', {
          log: late,
          codec: testCodec,
          database,
          factsMax: 10,
        })
        expect(rebuilt.rounds).toBe(2)
        await expectViewsOf(past)
      })

      test('repairs a view that was damaged, and its rows stay isolated and read-only for tenants', async () => {
        const past = history({ seed: 23, jobs: 40 })
        const projections = await start()
        await writeHistory(log, past)
        await caughtUp(projections, past)
        await database.asService((tx) =>
          tx.query("UPDATE job_list SET charged_pico = 1, status = 'failed' WHERE job_id < 'job-2'"),
        )
        await rebuildProjection('job-list', { log, codec: testCodec, database })
        await expectViewsOf(past)
        const mine = await database.asTenant('tenant-1', (tx) => tx.query('SELECT DISTINCT tenant_id FROM job_list'))
        expect(mine.rows).toEqual([{ tenant_id: 'tenant-1' }])
        await expect(database.asTenant('tenant-1', (tx) => tx.query('DELETE FROM job_list'))).rejects.toThrow(
          /permission denied/,
        )
      })

      test('after a crash half-way, begun anew', async () => {
        const past = history({ seed: 24, jobs: 60 })
        await writeHistory(log, past)
        const projections = await start()
        await caughtUp(projections, past)
        let transactions = 0
        const dying = faulty(database, () => (++transactions === 5 ? 'before commit' : undefined))
        const rebuild = (over: Database) =>
          rebuildProjection('job-list', { log, codec: testCodec, database: over, factsMax: 30 })
        await expect(rebuild(dying.database)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
        await expectViewsOf(past)
        await rebuild(database)
        await expectViewsOf(past)
        const left = await database.asOwner((tx) =>
          tx.query("SELECT 1 AS x FROM pg_tables WHERE tablename LIKE '%\\_\\_rebuild'"),
        )
        expect(left.rows).toEqual([])
      })

      test('two at once: one of them gives up, and the view is right', async () => {
        const past = history({ seed: 25, jobs: 60 })
        await writeHistory(log, past)
        const projections = await start()
        await caughtUp(projections, past)
        const rebuilds = await Promise.allSettled(
          [1, 2].map(() => rebuildProjection('job-list', { log, codec: testCodec, database, factsMax: 20 })),
        )
        expect(rebuilds.some((result) => result.status === 'fulfilled')).toBe(true)
        await expectViewsOf(past)
      })

      test('of a name that no view has', async () => {
        await expect(rebuildProjection('nothing', { log, codec: testCodec, database })).rejects.toMatchObject({
          code: 'NOT_FOUND',
        })
      })

      test('at start, when the version was raised: the new table takes the old one’s place', async () => {
        const past = history({ seed: 26, jobs: 40 })
        await writeHistory(log, past)
        const old = await start()
        await caughtUp(old, past)
        const raised: Projection = {
          ...tenantTree,
          version: 2,
          tableSql: () => tenantTree.tableSql().replace('seq bigint', 'origin text NOT NULL, seq bigint'),
          columns: { ...tenantTree.columns, origin: text },
          apply: (fact) =>
            tenantTree
              .apply(fact)
              .map((op) => (op.op === 'insert' ? { ...op, values: { ...op.values, origin: 'v2' } } : op)),
        }
        const projections = allProjections.map((p) => (p.name === raised.name ? raised : p))
        await migrate(database, projectionMigrations(projections))
        const seen: string[] = []
        const next = await start({ projections, onRebuild: (progress) => void seen.push(progress.projection) })
        await caughtUp(next, past)
        expect(new Set(seen)).toEqual(new Set(['tenant-tree']))
        const rows = await tableRows(database, raised)
        expect(rows.map((row) => row['origin'])).toEqual(rows.map(() => 'v2'))
        expect(rows.length).toBeGreaterThan(2)

        // The old process finds its view taken over and stops; a new process of the old build does not start.
        const tenure = await log.acquire(0)
        const tenantId = past0()
        const stamp = new Stamp()
        stamp.seq = tenure.committed.seq
        await tenure.commit([recordOf(stamp.fact(tenantId, submitted('late')))], 0n)
        await next.caughtUp(0, stamp.seq)
        await expect(old.caughtUp(0, stamp.seq)).rejects.toMatchObject({ code: 'NOT_READY' })
        expect(failures.filter((failure) => failure.isStopped)).toMatchObject([
          { partition: 0, error: { code: 'SCHEMA_INCOMPATIBLE' } },
        ])
        await expect(start()).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' })
      })

      test('at start, for a view that is new beside older ones', async () => {
        const past = history({ seed: 27, jobs: 40 })
        await writeHistory(log, past)
        const before = await start({ projections: allProjections.filter((p) => p.name !== 'ledger') })
        await caughtUp(before, past)
        await before.stop()
        const next = await start()
        await caughtUp(next, past)
        await expectViewsOf(past)
      })
    })

    test('digests tell tables apart by a single value, and compare over many pages', async () => {
      const past = history({ seed: 28, jobs: 30 })
      const projections = await start()
      await writeHistory(log, past)
      await caughtUp(projections, past)
      await database.asOwner((tx) =>
        tx.query(`CREATE TABLE job_list__copy (LIKE job_list); INSERT INTO job_list__copy SELECT * FROM job_list; GRANT ALL ON job_list__copy TO pf3_service;
          INSERT INTO job_list SELECT (jsonb_populate_record(j, jsonb_build_object('job_id', 'x' || n))).* FROM job_list j, generate_series(1, 12000) n WHERE j.job_id = 'job-0';
          INSERT INTO job_list__copy SELECT * FROM job_list WHERE job_id LIKE 'x%'`),
      )
      const copy = { table: 'job_list__copy', keyColumns: jobList.keyColumns }
      const same = await compareTables(database, jobList, copy)
      expect(same).toMatchObject({ isEqual: true, rows: [12_030n, 12_030n] })
      await database.asService((tx) => tx.query("UPDATE job_list SET seq = seq + 1 WHERE job_id = 'x11999'"))
      expect(await compareTables(database, jobList, copy)).toMatchObject({ isEqual: false, rows: [12_030n, 12_030n] })
      await database.asOwner((tx) => tx.query('DROP TABLE job_list__copy'))
    })
  })
}
