import { onPostgres } from './testing/on-postgres.ts'
import { runnerContract } from './testing/runner-contract.ts'
import { viewsContract } from './testing/views-contract.ts'

viewsContract('views on PostgreSQL', onPostgres)
runnerContract('views on PostgreSQL, beside others and with faults', onPostgres)
