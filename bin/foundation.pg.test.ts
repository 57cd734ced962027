/** Who may have a data directory, where the database is a server and guards nothing. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freshDatabase } from '../tests/postgres/fresh-database.ts'
import { readConfig } from './config.ts'
import { borrowFoundation, openFoundation } from './foundation.ts'

test('a service has its data directory to itself; commands work beside it, and the next service comes after it', async () => {
  const fresh = await freshDatabase()
  const dir = await mkdtemp(join(tmpdir(), 'pf3-foundation-'))
  const configIn = (name: string) => readConfig({ PF3_DATA_DIR: join(dir, name), PF3_POSTGRES_URL: fresh.url })
  const service = await openFoundation(configIn('one'))
  await expect(openFoundation(configIn('one'))).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
  const command = await borrowFoundation(configIn('one'))
  await command.close()
  await expect(openFoundation(configIn('one')), 'still locked').rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
  const other = await openFoundation(configIn('another'))
  await other.close()
  await service.close()
  const next = await openFoundation(configIn('one'))
  await next.close()
  const unreachable = { ...configIn('one'), postgresUrl: 'postgres://nobody@127.0.0.1:1/nothing' }
  await expect(openFoundation(unreachable)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  const afterFailure = await openFoundation(configIn('one'))
  await afterFailure.close()
  await rm(dir, { recursive: true })
  await fresh.drop()
})
