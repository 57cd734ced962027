/** Commands that look change nothing on a server where no service has ever started, and say so. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { examine } from '../../bin/commands/doctor.ts'
import { readConfig } from '../../bin/config.ts'
import { openFoundation } from '../../bin/foundation.ts'
import { runPf3 } from '../machine/run-pf3.ts'
import { startPostgres } from '../postgres/start-postgres.ts'

// One of its own: on the others' roles are made by whoever comes first.
let server: Awaited<ReturnType<typeof startPostgres>>
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-looking-'))
  server = await startPostgres()
}, 60_000)
afterAll(async () => {
  await server.stop()
  await rm(dir, { recursive: true })
})

async function onServer<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

/** Roles, who is in them, and tables. */
const standing = () =>
  onServer(`SELECT 'role ' || rolname AS what FROM pg_roles
    UNION ALL SELECT 'member ' || roleid::regrole || ' ' || member::regrole FROM pg_auth_members
    UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    ORDER BY what`)

const nobody = 'there is no installation in the database that PF3_POSTGRES_URL names'

test.each([
  'replay --tenant harbor --period 2026-11',
  'projections rebuild --all',
  'events export --to DIR/export',
  'events tail --from-start',
  'archive write --to DIR/archive',
])('%s ends with 2 and leaves nothing behind', async (command) => {
  const before = await standing()
  const env = { PF3_DATA_DIR: join(dir, 'data'), PF3_POSTGRES_URL: server.url }
  const ended = await runPf3(command.replace('DIR', dir).split(' '), env)
  expect(ended).toEqual({ code: 2, stdout: '', stderr: `Configuration:\n- ${nobody}\n` })
  expect(await readdir(dir)).toEqual([])
  expect(await standing()).toEqual(before)
})

const ask = async (url: string) => {
  const findings = await examine({ PF3_DATA_DIR: join(dir, 'data'), PF3_PORT: '0', PF3_POSTGRES_URL: url })
  const said = findings.map((one) => [one.what, 'problem' in one ? { wrong: one.problem } : one.found])
  return Object.fromEntries(said.filter(([what]) => ['database', 'roles', 'tables'].includes(String(what))))
}

test('doctor makes no roles, and says who makes them', async () => {
  await onServer('CREATE ROLE guest LOGIN')
  onTestFinished(() => void onServer('DROP ROLE guest'))
  const before = await standing()
  const asGuest = new URL(server.url)
  asGuest.username = 'guest'
  const inOrder = { database: expect.stringMatching(/^PostgreSQL/), tables: 'none yet; the first start makes them' }
  expect(await ask(server.url)).toEqual({ ...inOrder, roles: 'the next start makes and grants them' })
  const wrong = 'this user is not in pf3_service, pf3_tenant, and cannot get there by itself'
  expect(await ask(asGuest.href)).toEqual({ ...inOrder, roles: { wrong } })
  expect(await standing()).toEqual(before)
})

test('once a service has started, commands read and doctor finds the roles', async () => {
  const env = { PF3_DATA_DIR: join(dir, 'service'), PF3_POSTGRES_URL: server.url }
  await (await openFoundation(readConfig(env))).close()
  const { code, stdout } = await runPf3(['events', 'export', '--to', join(dir, 'export')], env)
  expect({ code, stdout }).toEqual({ code: 0, stdout: `0 facts in 0 files under ${join(dir, 'export')}\n` })
  expect(await ask(server.url)).toMatchObject({ roles: 'this user is in them' })
})
