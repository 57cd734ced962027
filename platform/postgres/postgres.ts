/** A PostgreSQL server by URL. */
import { connectionFrom } from './connection.ts'
import type { Database } from './database.ts'
import { rolesSql } from './isolation.ts'
import { poolDefaults, pooledDatabase } from './pooled-database.ts'

export type PostgresOptions = {
  /** postgres://user:password@host:port/database; the user owns the tables and must be able to become PF-3's two roles; see connectionFrom. */
  url: string
  /** Connections open at once; default 10. */
  poolMax?: number
  /** See PoolOptions; default 30 s. */
  connectWaitMs?: number
  /** See PoolOptions; default 60 s. */
  statementWaitMs?: number
}

/** Connects and makes sure that the roles exist. Throws DATABASE_UNAVAILABLE when the server does not answer. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, poolMax = 10, ...waits } = options
  const database = pooledDatabase({ ...poolDefaults, ...waits, connection: connectionFrom(url), poolMax })
  try {
    await database.asOwner((tx) => tx.query(rolesSql))
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}
