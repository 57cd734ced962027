import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FreshDatabase, freshDatabase } from '../../tests/postgres/fresh-database.ts'
import { databaseContract } from './contract.ts'
import type { Tx } from './database.ts'
import { openPostgres } from './postgres.ts'

let fresh: FreshDatabase
beforeAll(async () => {
  fresh = await freshDatabase()
})
afterAll(() => fresh.drop())

databaseContract('PostgreSQL', async () => {
  const database = await openPostgres({ url: fresh.url })
  return { database, another: () => openPostgres({ url: fresh.url, poolMax: 3 }), close: () => database.close() }
})

test('a server that does not answer is DATABASE_UNAVAILABLE', async () => {
  await expect(
    openPostgres({ url: 'postgres://nobody@127.0.0.1:1/nothing', connectWaitMs: 2_000 }),
  ).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
})

test('a connection that is cut in a transaction is DATABASE_UNAVAILABLE, nothing is written, and the next one works', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  const admin = new pg.Client({ connectionString: fresh.adminUrl })
  await admin.connect()
  await database.asOwner((tx) => tx.query('CREATE TABLE cut (n int); GRANT ALL ON cut TO pf3_service'))
  const cut = database.asService(async (tx) => {
    await tx.query('INSERT INTO cut VALUES (1)')
    const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await admin.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await tx.query('INSERT INTO cut VALUES (2)')
  })
  await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  expect((await database.asService((tx) => tx.query('SELECT * FROM cut'))).rowCount).toBe(0)
  await admin.end()
  await database.close()
})

test('a single statement of the service takes one statement, and a second one is refused', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  await database.asOwner((tx) => tx.query('CREATE TABLE alone (n int); GRANT ALL ON alone TO pf3_service'))
  const insert = (n: number) => database.asService((tx) => tx.last.query('INSERT INTO alone VALUES ($1)', [n]))
  await insert(1) // From here on the connection is the service's.
  const isOneStatement = 'SELECT statement_timestamp() = transaction_timestamp() AS alone, current_user AS who'
  for (const run of [() => insert(2), () => insert(3)]) {
    await run()
    const { rows } = await database.asService((tx) => tx.last.query(isOneStatement))
    expect(rows).toEqual([{ alone: true, who: 'pf3_service' }])
  }
  const second = database.asService(async (tx) => {
    await tx.last.query('INSERT INTO alone VALUES (4)')
    await tx.query('INSERT INTO alone VALUES (5)')
  })
  await expect(second).rejects.toMatchObject({ code: 'INTERNAL' })
  const { rows } = await database.asService((tx) => tx.query('SELECT n FROM alone ORDER BY n'))
  expect(rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }])
  await database.close()
})

test('what a tenant asks is ended by the server itself when it takes too long; the connection stays, and the service has no such bound', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1, tenantStatementWaitMs: 100 })
  const backend = async (tx: Tx) => (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows
  const before = await database.asTenant('a', backend)
  const since = performance.now()
  for (const sleep of [
    (tx: Tx) => tx.query('SELECT pg_sleep($1)', [20]),
    (tx: Tx) => tx.last.query('SELECT pg_sleep(20)'),
  ])
    await expect(database.asTenant('a', sleep)).rejects.toMatchObject({ code: 'READ_TOO_LARGE', canRetry: false })
  expect(performance.now() - since).toBeLessThan(10_000)
  expect(await database.asTenant('a', backend)).toEqual(before)
  await database.asService((tx) => tx.query('SELECT pg_sleep(0.3)'))
  await database.asOwner((tx) => tx.query('SELECT pg_sleep(0.3)'))
  await database.close()
})

test('what is durable waits for the disk', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  const setting = "SELECT current_setting('synchronous_commit') AS waits"
  expect((await database.asService((tx) => tx.query(setting))).rows).toEqual([{ waits: 'on' }])
  await database.close()
})

test('a server that takes no writes for now is DATABASE_UNAVAILABLE, and good again when it does', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  const admin = new pg.Client({ connectionString: fresh.adminUrl })
  await admin.connect()
  await database.asOwner((tx) => tx.query('CREATE TABLE full_up (n int); GRANT ALL ON full_up TO pf3_service'))
  const insert = () => database.asService((tx) => tx.last.query('INSERT INTO full_up VALUES (1)'))
  await insert()
  await admin.query(`ALTER DATABASE ${new URL(fresh.url).pathname.slice(1)} SET default_transaction_read_only = on`)
  await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [
    new URL(fresh.url).username,
  ])
  await expect
    .poll(() => insert().catch((error: unknown) => error))
    .toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      cause: { code: '25006' },
    })
  await admin.query(`ALTER DATABASE ${new URL(fresh.url).pathname.slice(1)} RESET default_transaction_read_only`)
  await insert()
  await admin.end()
  await database.close()
})

test('many processes may open a new database at once', async () => {
  const opened = await Promise.all(Array.from({ length: 6 }, () => openPostgres({ url: fresh.url, poolMax: 1 })))
  for (const database of opened) {
    expect((await database.asService((tx) => tx.query('SELECT current_user AS role'))).rows).toEqual([
      { role: 'pf3_service' },
    ])
    await database.close()
  }
})
