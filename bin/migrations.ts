/** Every table that the service keeps beside the log, as the changes that make it. */
import type { Migration } from '../platform/postgres/migrate.ts'
import { snapshotMigrations } from '../platform/snapshots/snapshots.ts'
import { tokenUseMigrations } from '../platform/token-use/token-use.ts'
import { vaultMigrations } from '../platform/vault/payload-vault.ts'
import { submissionMigrations } from '../producers/index.ts'
import { projectionMigrations } from '../projections/index.ts'

export const serviceMigrations = (): Migration[] => [
  ...vaultMigrations,
  ...snapshotMigrations,
  ...tokenUseMigrations,
  ...submissionMigrations,
  ...projectionMigrations(),
]
