/** What doctor says of a PostgreSQL server: the server, its clock, and the tables in it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock, systemRandom } from '../../platform/clock.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { masterKeyFrom } from '../../platform/vault/master-key.ts'
import { payloadVault } from '../../platform/vault/payload-vault.ts'
import { type FreshDatabase, freshDatabase } from '../../tests/postgres/fresh-database.ts'
import { serviceMigrations } from '../migrations.ts'
import { examine } from './doctor.ts'

let fresh: FreshDatabase
let dir: string
beforeEach(async () => {
  fresh = await freshDatabase()
  dir = await mkdtemp(join(tmpdir(), 'pf3-doctor-'))
  onTestFinished(async () => {
    await fresh.drop()
    await rm(dir, { recursive: true, force: true })
  })
})

/** What it says of the database, by what it looked at. */
async function ask() {
  const findings = await examine({ PF3_DATA_DIR: dir, PF3_PORT: '0', PF3_POSTGRES_URL: fresh.url })
  const said = findings.map((one) => [one.what, 'problem' in one ? { wrong: one.problem } : one.found])
  return Object.fromEntries(said.filter(([what]) => ['database', 'clock', 'tables'].includes(String(what))))
}

async function inDatabase(run: (database: Awaited<ReturnType<typeof openPostgres>>) => Promise<unknown>) {
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  await run(database).finally(() => database.close())
}

const inOrder = {
  database: expect.stringMatching(/^PostgreSQL \d/),
  clock: "with the database's, to 2000 ms",
}

test('a database that is new, that a build before this one has used, and that is as it should be', async () => {
  expect(await ask()).toEqual({ ...inOrder, tables: 'none yet; the first start makes them' })
  await inDatabase((database) => migrate(database, serviceMigrations().slice(0, -2)))
  expect(await ask()).toEqual({ ...inOrder, tables: 'the next start of this build makes 2 more' })
  await inDatabase((database) => migrate(database, serviceMigrations()))
  expect(await ask()).toEqual({ ...inOrder, tables: 'as this build needs them' })
})

test('tables that another build made otherwise, which a start refuses, are told by name', async () => {
  const [first] = serviceMigrations()
  await inDatabase((database) => migrate(database, [{ name: first?.name ?? '', sql: 'SELECT 1' }]))
  expect(await ask()).toEqual({
    ...inOrder,
    tables: { wrong: `made otherwise than this build makes them: ${first?.name}` },
  })
  await inDatabase(async (database) => {
    await expect(migrate(database, serviceMigrations())).rejects.toMatchObject({ code: 'MIGRATION_CHANGED' })
  })
})

test("a clock that is not the database's", async () => {
  const really = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => really() + 3_600_000)
  onTestFinished(() => void vi.restoreAllMocks())
  const { clock } = await ask()
  expect(clock).toEqual({ wrong: expect.stringMatching(/^36\d{5} ms apart from the database's$/) })
})

test('a key that is not the one the content was sealed with, or none', async () => {
  const key = Buffer.alloc(32, 7)
  await inDatabase(async (database) => {
    await migrate(database, serviceMigrations())
    const vault = payloadVault({ database, masterKey: masterKeyFrom(key), clock: systemClock, random: systemRandom })
    await vault.put([{ tenantId: 'harbor', ref: 'a', class: 'day', content: new Uint8Array(1) }])
  })
  const keyFile = join(dir, 'master.key')
  const problems = async () =>
    (await examine({ PF3_DATA_DIR: dir, PF3_PORT: '0', PF3_POSTGRES_URL: fresh.url })).flatMap((one) =>
      'problem' in one ? [one.problem] : [],
    )
  expect(await problems()).toEqual([
    `this data was sealed with a key that is not there; restore your copy of ${keyFile}`,
  ])
  await writeFile(keyFile, Buffer.alloc(32, 8), { mode: 0o600 })
  expect(await problems()).toEqual([
    `this data was sealed with another key than that in ${keyFile}; restore your copy of the right one`,
  ])
  await writeFile(keyFile, key)
  expect(await problems()).toEqual([])
})
