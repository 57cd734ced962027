/** Schema changes: forward only, each once, recorded with a hash of its text. */
import { createHash } from 'node:crypto'
import { PlatformError } from '../errors.ts'
import type { Database, Tx } from './database.ts'

export type Migration = {
  /** Unique over everything that keeps tables in the database; by convention `<room>-<number>-<what>`. */
  name: string
  sql: string
}

/** Any constant will do; it only has to be the same in every process. */
const lockKey = 7_333_003

/**
 * Runs what is not recorded yet, in order, each in its own transaction as the owner of the tables. Safe when several
 * processes do it at once: one works, the others wait and find it done. Throws MIGRATION_CHANGED, before anything
 * is run, when a recorded migration has another text than before.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<void> {
  await database.asOwner(async (tx) => {
    await lock(tx)
    await tx.query(`CREATE TABLE IF NOT EXISTS pf3_migration (
      name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
    for (const migration of migrations) await isRecorded(tx, migration)
  })
  for (const migration of migrations) {
    await database.asOwner(async (tx) => {
      await lock(tx)
      if (await isRecorded(tx, migration)) return
      await tx.query(migration.sql)
      await tx.query('INSERT INTO pf3_migration (name, hash) VALUES ($1, $2)', [migration.name, hashOf(migration)])
    })
  }
}

async function isRecorded(tx: Tx, migration: Migration): Promise<boolean> {
  const { rows } = await tx.query<{ hash: string }>('SELECT hash FROM pf3_migration WHERE name = $1', [migration.name])
  const recorded = rows[0]?.hash
  if (recorded !== undefined && recorded !== hashOf(migration)) {
    throw new PlatformError('MIGRATION_CHANGED', { migration: migration.name, recorded, found: hashOf(migration) })
  }
  return recorded !== undefined
}

const lock = (tx: Tx) => tx.query('SELECT pg_advisory_xact_lock($1)', [lockKey])
const hashOf = (migration: Migration): string => createHash('sha256').update(migration.sql).digest('hex')
