/** A PostgreSQL server by URL. */
import { type Clock, systemClock } from '../clock.ts'
import { connectionFrom } from './connection.ts'
import type { Database } from './database.ts'
import { rolesSql } from './isolation.ts'
import { poolDefaults, pooledDatabase } from './pooled-database.ts'
import { keepStatistics } from './statistics.ts'

export type PostgresOptions = {
  /** postgres://user:password@host:port/database; the user owns the tables and must be able to become PF-3's two roles; see connectionFrom. */
  url: string
  /** Connections open at once; default 10. */
  poolMax?: number
  /** See PoolOptions; default 30 s. */
  connectWaitMs?: number
  /** See PoolOptions; default 60 s. */
  statementWaitMs?: number
  /** See PoolOptions; default 10 s. */
  tenantStatementWaitMs?: number
  /** Only the times of upkeep depend on it; default the system's. */
  clock?: Clock
}

/** For who only looks: connects with the first transaction and changes nothing, so that the roles must be there for all but `asOwner`. */
export const connectToPostgres = ({ url, poolMax = 10, ...waits }: Omit<PostgresOptions, 'clock'>): Database =>
  pooledDatabase({
    ...poolDefaults,
    ...waits,
    connection: connectionFrom(url),
    poolMax,
    hasSessions: true,
    preparesStatements: true,
  })

/** Connects, makes sure that the roles exist, and keeps the planner's statistics. Throws DATABASE_UNAVAILABLE when the server does not answer. */
export async function openPostgres({ clock = systemClock, ...options }: PostgresOptions): Promise<Database> {
  const database = connectToPostgres(options)
  try {
    await database.asOwner((tx) => tx.query(rolesSql))
    const stopStatistics = keepStatistics(database, clock)
    return {
      ...database,
      async close() {
        await stopStatistics()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}
