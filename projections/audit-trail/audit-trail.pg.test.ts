import { openPostgres } from '../../platform/postgres/postgres.ts'
import { freshDatabase } from '../../tests/postgres/fresh-database.ts'
import { pageContract } from './page-contract.ts'

pageContract('pages of the audit trail on PostgreSQL', async () => {
  const fresh = await freshDatabase()
  const database = await openPostgres({ url: fresh.url })
  return {
    database,
    close: async () => {
      await database.close()
      await fresh.drop()
    },
  }
})
