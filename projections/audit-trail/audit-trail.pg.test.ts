import { onPostgres } from '../testing/on-postgres.ts'
import { pageContract } from './page-contract.ts'

pageContract('pages of the audit trail on PostgreSQL', onPostgres)
