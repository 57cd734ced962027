import { expect, test } from 'vitest'
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { freshDatabase } from '../postgres/fresh-database.ts'
import { rowSecurityContract } from './row-security-contract.ts'

rowSecurityContract('row-level security on PostgreSQL', freshDatabase)

test('the user that PF-3 logs in as is no superuser and bypasses no policy', async () => {
  const fresh = await freshDatabase()
  const database = await openPostgres({ url: fresh.url, poolMax: 1 })
  const { rows } = await database.asOwner((tx) =>
    tx.query('SELECT rolsuper OR rolbypassrls AS mighty FROM pg_roles WHERE rolname = session_user'),
  )
  expect(rows).toEqual([{ mighty: false }])
  await database.close()
  await fresh.drop()
})
