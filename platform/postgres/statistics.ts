/**
 * Keeps what the planner knows of the tables in step with their growth. PGlite has nobody who does it, and PostgreSQL's
 * own autovacuum comes a minute late to tables that grow from nothing: until then indexes that begin with the same column
 * look alike to it, and it reads every row of a tenant to find one.
 */
import pg from 'pg'
import type { Clock } from '../clock.ts'
import type { Database, Tx } from './database.ts'

/**
 * A random page costs little more than the next one, as on every disk without a head (the default of 4 is for those that
 * have one): rows that are asked for by key are found by index, and not by reading all of a table that is not large yet.
 */
export const plannerSetting = 'random_page_cost=1.1'

const lookEveryMs = 5_000
/**
 * Enough to tell indexes apart, which is all that is asked here: 3,000 rows are read, where PostgreSQL's default of 100
 * reads 30,000 and takes a third of a second for each of the wide tables, again and again while they grow.
 */
const statisticsTarget = 10
/** A table is looked at again when it has twice the pages that the planner knows of, and this many more. */
const pagesMore = 16

/** Looks every 5 s which tables have grown; most of the time none has. Returns what stops it, after the look under way. */
export function keepStatistics(database: Database, clock: Clock): () => Promise<void> {
  let isStopped = false
  let running = Promise.resolve()
  let cancel = clock.after(lookEveryMs, look)

  function look() {
    // A failure here is nobody's answer; whoever uses the database meets it, too.
    running = refreshStatistics(database)
      .catch(() => undefined)
      .then(() => {
        if (!isStopped) cancel = clock.after(lookEveryMs, look)
      })
  }
  return async () => {
    isStopped = true
    cancel()
    await running
  }
}

/** Analyses the tables that have grown, except those that another process is at. */
export const refreshStatistics = (database: Database): Promise<void> =>
  database.asOwner(async (tx) => {
    await tx.query(`SET LOCAL default_statistics_target = ${statisticsTarget}`)
    for (const name of await grownTables(tx)) await tx.query(`ANALYZE (SKIP_LOCKED) ${pg.escapeIdentifier(name)}`)
  })

async function grownTables(tx: Tx): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
       AND pg_relation_size(oid) > (2 * greatest(relpages, 0) + $1) * current_setting('block_size')::bigint
     ORDER BY relname`,
    [pagesMore],
  )
  return rows.map(({ name }) => name)
}
