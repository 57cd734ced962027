/** A database of its own on a real PostgreSQL server, for the contracts of views. */
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { freshDatabase } from '../../tests/postgres/fresh-database.ts'
import type { OpenedForTest } from './stage.ts'

export async function onPostgres(): Promise<OpenedForTest & { url: string }> {
  const { url, drop } = await freshDatabase()
  const database = await openPostgres({ url })
  return {
    url,
    database,
    another: () => openPostgres({ url }),
    close: async () => {
      await database.close()
      await drop()
    },
  }
}
