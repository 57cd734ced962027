/** Views on a fresh database with a simulated log, before every test: what the contracts of runner and rebuild play on. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { PlatformError } from '../../platform/errors.ts'
import { type SimulatedFaults, type SimulatedLog, simulatedLog } from '../../platform/log/simulated.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { inProcessRelay } from '../../platform/relay/relay.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { allProjections, projectionMigrations } from '../index.ts'
import { memoryProjections } from '../memory-runner.ts'
import { type ProjectionFailure, type ProjectionParts, type Projections, startProjections } from '../runner.ts'
import { rebuildSuffix } from '../tables.ts'
import { asRead, type History, history, seededRandom, testCodec } from './history.ts'
import { tableRows } from './view.ts'

export type OpenedForTest = {
  database: Database
  /** A second client of the same database, as another process would have it. */
  another: () => Promise<Database>
  close: () => Promise<void>
  /** Default: `startProjections`. */
  start?: (parts: ProjectionParts) => Promise<Projections>
}

type Written = Pick<History, 'byPartition'>

export type Stage = {
  database: Database
  log: SimulatedLog
  failures: ProjectionFailure[]
  another(): Promise<Database>
  /** Stopped after the test. */
  start(over?: Partial<ProjectionParts>): Promise<Projections>
  caughtUp(projections: Projections, past: Written): Promise<unknown>
  /** The tables hold exactly what the memory runner has after the same facts. */
  expectViewsOf(past: Written): Promise<void>
}

export const newLog = (faults: Partial<SimulatedFaults> = {}, seed = 1): SimulatedLog =>
  simulatedLog({ partitionCount: 2, clock: systemClock, random: seededRandom(seed), faults })

/** Call inside `describe`; what it returns is ready within a test. */
export function stage(open: () => Promise<OpenedForTest>): Stage {
  let opened: OpenedForTest
  let database: Database
  let running: Projections[] = []

  const on: Stage = {
    get database() {
      return database
    },
    log: newLog(),
    failures: [],
    another: () => opened.another(),
    async start(over = {}) {
      const onFailure = (failure: ProjectionFailure) => void on.failures.push(failure)
      const parts = { log: on.log, codec: testCodec, database, relay: inProcessRelay(), clock: systemClock, onFailure }
      const projections = await (opened.start ?? startProjections)({ ...parts, ...over })
      running.push(projections)
      return projections
    },
    caughtUp: (projections, { byPartition }) =>
      Promise.all(byPartition.map((facts, partition) => projections.caughtUp(partition, BigInt(facts.length)))),
    async expectViewsOf({ byPartition }) {
      const memory = memoryProjections(allProjections)
      for (const facts of byPartition) memory.apply(facts.map(asRead))
      for (const projection of allProjections) {
        expect(await tableRows(database, projection), projection.name).toEqual(memory.rows(projection.name))
      }
    },
  }

  beforeAll(async () => {
    opened = await open()
    database = opened.database
  })
  afterAll(() => opened.close())
  beforeEach(async () => {
    on.failures = []
    on.log = newLog()
    await database.asOwner(async (tx) => {
      await tx.query('DROP TABLE IF EXISTS pf3_migration, projection_position, projection_rebuild')
      for (const { table } of allProjections) await tx.query(`DROP TABLE IF EXISTS ${table}, ${table}${rebuildSuffix}`)
    })
    await migrate(database, projectionMigrations())
  })
  afterEach(async () => {
    await Promise.all(running.map((projections) => projections.stop()))
    running = []
    await on.log.close()
  })
  return on
}

/** Counts what is asked of the database, and lets some of it fail. */
export function faulty(real: Database, fails: (transaction: number) => 'before commit' | 'after commit' | undefined) {
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

/** Some tenant of partition 0. */
export const someTenant = (): string =>
  history({ seed: 1, jobs: 1 }).byPartition[0]?.find((fact) => fact.tenantId !== platformTenantId)?.tenantId ?? ''
