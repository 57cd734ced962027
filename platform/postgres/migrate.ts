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
 * Runs what is not recorded yet, in order and in one transaction, as the owner of the tables: all of it or nothing. Safe
 * when several processes do it at once: one works, the others wait and find it done. Throws MIGRATION_CHANGED, before
 * anything is run, when a recorded migration has another text than before.
 *
 * One look and one transaction, because every start pays for it: on the embedded default a transaction of its own for
 * each migration took longer than everything they do.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<void> {
  await database.asOwner(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [lockKey])
    await tx.query(`CREATE TABLE IF NOT EXISTS pf3_migration (
      name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
    const pending = await notRecorded(tx, migrations)
    for (const { sql } of pending) await tx.query(sql)
    await tx.query('INSERT INTO pf3_migration (name, hash) SELECT * FROM unnest($1::text[], $2::text[])', [
      pending.map(({ name }) => name),
      pending.map(hashOf),
    ])
  })
}

/**
 * What `migrate` would find: names that it has still to run, and those it would throw MIGRATION_CHANGED for. Changes
 * nothing. `isNew` when the database has none of PF-3's tables yet.
 */
export async function compareMigrations(
  database: Database,
  migrations: readonly Migration[],
): Promise<{ isNew: boolean; pending: string[]; changed: string[] }> {
  return database.asOwner(async (tx) => {
    const { rows } = await tx.query<{ is_there: boolean }>(
      `SELECT to_regclass('pf3_migration') IS NOT NULL AS is_there`,
    )
    const names = migrations.map(({ name }) => name)
    if (!rows[0]?.is_there) return { isNew: true, pending: names, changed: [] }
    const recorded = await recordedIn(tx)
    return {
      isNew: false,
      pending: names.filter((name) => !recorded.has(name)),
      changed: migrations
        .filter((one) => recorded.has(one.name) && recorded.get(one.name) !== hashOf(one))
        .map(({ name }) => name),
    }
  })
}

async function recordedIn(tx: Tx): Promise<Map<string, string>> {
  const { rows } = await tx.query<{ name: string; hash: string }>('SELECT name, hash FROM pf3_migration')
  return new Map(rows.map(({ name, hash }) => [name, hash]))
}

async function notRecorded(tx: Tx, migrations: readonly Migration[]): Promise<Migration[]> {
  const recorded = await recordedIn(tx)
  for (const migration of migrations) {
    const hash = recorded.get(migration.name)
    if (hash !== undefined && hash !== hashOf(migration)) {
      throw new PlatformError('MIGRATION_CHANGED', {
        migration: migration.name,
        recorded: hash,
        found: hashOf(migration),
      })
    }
  }
  return migrations.filter(({ name }) => !recorded.has(name))
}

const hashOf = (migration: Migration): string => createHash('sha256').update(migration.sql).digest('hex')
