/** What the log on a database must do beyond the contract; run on PGlite and on PostgreSQL. */
import { expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import type { Database, Tx } from '../../postgres/database.ts'
import { inProcessRelay } from '../../relay/relay.ts'
import { logContract } from '../contract.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../embedded.ts'
import { withHandOver } from '../hand-over.ts'
import { type Log, startOfFacts } from '../log.ts'
import {
  allFacts,
  allRequests,
  bytes,
  contractPartitions,
  contractRecordBytesMax,
  factsOf,
  type LogForTest,
  tenantIn,
  text,
} from './log-data.ts'

export type DatabasesForTest = {
  database: () => Database
  /** A second client of the same database, as another process has it. */
  another: () => Promise<Database>
}

const emptySql = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC'

export function embeddedLogContract(name: string, databases: DatabasesForTest): void {
  const open = (database: Database, more: Partial<EmbeddedLogOptions> = {}) =>
    embeddedLog({
      database,
      partitionCount: contractPartitions,
      clock: systemClock,
      recordBytesMax: contractRecordBytesMax,
      waitingRecordsMax: 100,
      pollMs: 5,
      ...more,
    })

  const openEmpty = async (): Promise<LogForTest> => {
    const database = databases.database()
    await database.asOwner((tx) => tx.query(emptySql))
    const faulty = loseCommits(database)
    const log = await open(faulty)
    const closing = [() => log.close()]
    return {
      log,
      losingCommits: faulty.losingCommits,
      async another() {
        const other = await databases.another()
        const otherLog = await open(other)
        closing.push(
          () => otherLog.close(),
          () => other.close(),
        )
        return otherLog
      },
      async close() {
        for (const close of closing) await close()
      },
    }
  }

  logContract(name, openEmpty)

  logContract(`${name} with a hand-over`, async () => {
    const opened = await openEmpty()
    const handing = (log: Log) => withHandOver(log, { clock: systemClock })
    return { ...opened, log: handing(opened.log), another: async () => handing(await opened.another()) }
  })

  test(`${name}: opened again it has everything, and goes on`, async () => {
    const { log, close } = await openEmpty()
    await log.append([{ key: tenantIn(0), value: bytes('asked') }])
    const tenure = await log.acquire(0)
    await tenure.commit(factsOf(0, 0n, ['jobs', 'usage']), 1n)
    const facts = await allFacts(log, 0)
    await close()
    const again = await open(databases.database())
    expect((await allRequests(again, 0)).map(({ value }) => text(value))).toEqual(['asked'])
    expect(await allFacts(again, 0)).toEqual(facts)
    const next = await again.acquire(0)
    expect(next.committed).toEqual({ intakeOffset: 1n, seq: 2n })
    await next.commit(factsOf(0, 2n, ['jobs', 'billing']), 1n)
    expect((await allFacts(again, 0)).slice(2).map(({ stream, offset }) => [stream, offset])).toEqual([
      ['jobs', 1n],
      ['billing', 0n],
    ])
    await again.close()
  })

  test(`${name}: readers wake by the writers of their process, and by the relay, without waiting for the next look`, async () => {
    const { close } = await openEmpty()
    const relay = inProcessRelay()
    const [log, other, alone] = [
      await open(databases.database(), { relay, pollMs: 600_000 }),
      await open(databases.database(), { relay, pollMs: 600_000 }),
      await open(databases.database(), { pollMs: 600_000 }),
    ]
    const wait = { recordsMax: 10, waitMs: 600_000 }
    const waiting = [log.readIntake(0, 0n, wait), other.readIntake(0, 0n, wait)]
    const unaware = alone.readIntake(0, 0n, { recordsMax: 10, waitMs: 50 })
    await log.append([{ key: tenantIn(0), value: bytes('asked') }])
    expect((await Promise.all(waiting)).map((requests) => requests.length)).toEqual([1, 1])
    expect(await unaware).toEqual([])
    for (const one of [log, other, alone]) await one.close()
    await close()
  })

  test(`${name}: the number of partitions is fixed`, async () => {
    const { close } = await openEmpty()
    await expect(open(databases.database(), { partitionCount: 4 })).rejects.toMatchObject({
      code: 'LOG_PARTITIONS_FIXED',
      facts: { found: contractPartitions, wanted: 4 },
    })
    await close()
  })

  test(`${name}: what is missing in the middle is a gap, not skipped`, async () => {
    const { log, close } = await openEmpty()
    await log.append([1, 2, 3].map((n) => ({ key: tenantIn(0), value: bytes(`${n}`) })))
    const tenure = await log.acquire(0)
    await tenure.commit(factsOf(0, 0n, ['jobs', 'usage', 'billing']), 0n)
    await databases
      .database()
      .asOwner((tx) => tx.query('DELETE FROM log_fact WHERE seq = 2; DELETE FROM log_intake WHERE record_offset = 1'))
    await expect(log.readFacts(0, startOfFacts, { recordsMax: 10, waitMs: 0 })).rejects.toMatchObject({
      code: 'LOG_GAP',
    })
    await expect(log.readIntake(0, 0n, { recordsMax: 10, waitMs: 0 })).rejects.toMatchObject({ code: 'LOG_GAP' })
    await close()
  })

  test(`${name}: tenants have no way to the log, and the service cannot rewrite it`, async () => {
    const { log, close } = await openEmpty()
    await log.append([{ key: tenantIn(0), value: bytes('asked') }])
    const database = databases.database()
    for (const sql of [
      'SELECT * FROM log_intake',
      'SELECT * FROM log_fact',
      'SELECT * FROM log_ends',
      'SELECT * FROM log_acquire(0)',
    ]) {
      await expect(database.asTenant(tenantIn(0), (tx) => tx.query(sql))).rejects.toThrow(/permission denied/)
    }
    for (const sql of ["UPDATE log_intake SET key = 'x'", 'DELETE FROM log_fact', 'TRUNCATE log_fact']) {
      await expect(database.asService((tx) => tx.query(sql))).rejects.toThrow(/permission denied/)
    }
    await close()
  })

  test(`${name}: reads stop at a bound of bytes, but never before the first record`, async () => {
    const database = databases.database()
    await database.asOwner((tx) => tx.query(emptySql))
    const log = await open(database, { recordBytesMax: 5_000_000, waitingBytesMax: 100_000_000 })
    const value = new Uint8Array(3_000_000)
    await log.append(Array.from({ length: 5 }, () => ({ key: tenantIn(0), value })))
    expect((await log.readIntake(0, 0n, { recordsMax: 10, waitMs: 0 })).length).toBe(3)
    expect((await allRequests(log, 0)).length).toBe(5)
    await log.close()
  })
}

/** Its last statement is one like the others. */
function uncommitted(tx: Tx): Tx {
  const all: Tx = {
    query: tx.query,
    get last() {
      return all
    },
  }
  return all
}

/** A database whose commits can be made to end like a connection that breaks: done or not, and nobody is told. */
function loseCommits(database: Database): Database & { losingCommits: LogForTest['losingCommits'] } {
  let fate: 'told' | 'done' | 'undone' = 'told'
  const lost = () => new PlatformError('DATABASE_UNAVAILABLE', { during: 'commit' })
  return {
    ...database,
    async asService(run) {
      if (fate === 'told') return database.asService(run)
      await database.asService(async (tx) => {
        await run(uncommitted(tx))
        if (fate === 'undone') throw lost()
      })
      throw lost()
    },
    async losingCommits(isDurable, run) {
      fate = isDurable ? 'done' : 'undone'
      await run()
      fate = 'told'
    },
  }
}
