import { afterAll, beforeAll } from 'vitest'
import { type FreshDatabase, freshDatabase } from '../../tests/postgres/fresh-database.ts'
import type { Database } from '../postgres/database.ts'
import { openPostgres } from '../postgres/postgres.ts'
import { embeddedLogContract } from './testing/embedded-contract.ts'

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase()
  database = await openPostgres({ url: fresh.url })
})
afterAll(async () => {
  await database.close()
  await fresh.drop()
})

embeddedLogContract('the log on PostgreSQL', {
  database: () => database,
  another: () => openPostgres({ url: fresh.url, poolMax: 2 }),
})
