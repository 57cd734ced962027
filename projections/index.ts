/** Every view there is, and the migrations that make their tables. */
import type { Migration } from '../platform/postgres/migrate.ts'
import { auditTrail } from './audit-trail/projection.ts'
import { capStanding, capVersions } from './cap-standing/projection.ts'
import { contentRetention } from './content-retention/projection.ts'
import { erasureList } from './erasure-list/projection.ts'
import { jobList } from './job-list/projection.ts'
import { jobTrail } from './job-trail/projection.ts'
import { labelSets } from './label-sets/projection.ts'
import { ledger, periodTotals } from './ledger/projection.ts'
import { memberList } from './member-list/projection.ts'
import { positionMigration, rebuildsMigration } from './positions.ts'
import { priceBooks } from './price-books/projection.ts'
import type { Projection } from './projection.ts'
import { rebuildLockMigration } from './rebuild-lock.ts'
import { rollups } from './rollups/projection.ts'
import { createTableSql } from './tables.ts'
import { tenantTree } from './tenant-tree/projection.ts'
import { tokenList } from './token-list/projection.ts'
import { usageByDay } from './usage-by-day/projection.ts'

export const allProjections: readonly Projection[] = [
  jobList,
  usageByDay,
  capVersions,
  capStanding,
  ledger,
  periodTotals,
  auditTrail,
  jobTrail,
  tokenList,
  memberList,
  tenantTree,
  priceBooks,
  labelSets,
  contentRetention,
  erasureList,
  rollups,
]

/**
 * A view's migration carries its version: raised, it is a new migration, which leaves an older table where it is. The
 * rebuild at the next start replaces that table.
 */
export const projectionMigrations = (projections: readonly Projection[] = allProjections): Migration[] => [
  positionMigration,
  rebuildLockMigration,
  rebuildsMigration,
  ...projections.map((projection) => ({
    name: `projections-1000-${projection.name}-v${projection.version}`,
    sql: `DO $pf3$ BEGIN IF to_regclass('${projection.table}') IS NULL THEN\n${createTableSql(projection)}\nEND IF; END $pf3$;`,
  })),
]
