import { openPostgres } from '../platform/postgres/postgres.ts'
import { freshDatabase } from '../tests/postgres/fresh-database.ts'
import { rebuildContract } from './testing/rebuild-contract.ts'

rebuildContract('rebuilt views on PostgreSQL', async () => {
  const fresh = await freshDatabase()
  const database = await openPostgres({ url: fresh.url })
  return {
    database,
    another: () => openPostgres({ url: fresh.url }),
    close: async () => {
      await database.close()
      await fresh.drop()
    },
  }
})
