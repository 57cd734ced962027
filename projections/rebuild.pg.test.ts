import { onPostgres } from './testing/on-postgres.ts'
import { rebuildContract } from './testing/rebuild-contract.ts'

rebuildContract('rebuilt views on PostgreSQL', onPostgres)
