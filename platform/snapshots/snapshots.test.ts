import { afterAll, beforeAll, expect, test } from 'vitest'
import { startOfFacts } from '../log/log.ts'
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../postgres/embedded.ts'
import { migrate } from '../postgres/migrate.ts'
import { type StoredSnapshot, snapshotMigrations, snapshotStore } from './snapshots.ts'

let database: EmbeddedDatabase
beforeAll(async () => {
  database = await openEmbeddedDatabase()
  await migrate(database, snapshotMigrations)
})
afterAll(() => database.close())

const snapshot = (seq: bigint): StoredSnapshot => ({
  seq,
  format: 'f',
  checksum: 'c',
  body: new Uint8Array([1, 2, Number(seq)]),
  cursor: { seq, offsets: { ...startOfFacts.offsets, jobs: seq * 10n ** 12n, transfers: 2n } },
})

test('the newest two are kept, newest first, as they were', async () => {
  const store = snapshotStore(database)
  for (const seq of [3n, 5n, 9n]) await store.save(0, snapshot(seq))
  await store.save(1, snapshot(4n))
  const loaded = (await store.load(0)).map((one) => ({ ...one, body: new Uint8Array(one.body) }))
  expect(loaded).toEqual([snapshot(9n), snapshot(5n)])
})

test('one of a build that knew fewer streams begins the others at their beginning', async () => {
  const store = snapshotStore(database)
  await database.asService((tx) =>
    tx.query(
      `insert into owner_snapshot (partition, seq, format, checksum, offsets, body)
       values (2, 7, 'f', 'c', '{"jobs": "40", "directory": "3"}', '')`,
    ),
  )
  const [older] = await store.load(2)
  expect(older?.cursor).toEqual({ seq: 7n, offsets: { ...startOfFacts.offsets, jobs: 40n, directory: 3n } })
})

test('whatever the database says instead of a snapshot, it can be asked again', async () => {
  await database.asOwner((tx) => tx.query('alter table owner_snapshot rename to elsewhere'))
  await expect(snapshotStore(database).load(0)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', canRetry: true })
  await database.asOwner((tx) => tx.query('alter table elsewhere rename to owner_snapshot'))
})
