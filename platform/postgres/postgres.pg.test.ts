import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FreshDatabase, freshDatabase } from '../../tests/postgres/fresh-database.ts'
import { databaseContract } from './contract.ts'
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

test('what is durable waits for the disk', async () => {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  const setting = "SELECT current_setting('synchronous_commit') AS waits"
  expect((await database.asService((tx) => tx.query(setting))).rows).toEqual([{ waits: 'on' }])
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
