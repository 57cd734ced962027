import { openPostgres } from '../platform/postgres/postgres.ts'
import { freshDatabase } from '../tests/postgres/fresh-database.ts'
import { runnerContract } from './testing/runner-contract.ts'
import { viewsContract } from './testing/views-contract.ts'

const open = async () => {
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
}

viewsContract('views on PostgreSQL', open)
runnerContract('views on PostgreSQL, beside others and with faults', open)
