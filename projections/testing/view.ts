/** Views in a database of their own, for tests: facts go in as the runner writes them, queries read what came of it. */
import type { Database, Tx } from '../../platform/postgres/database.ts'
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { opsOf, type Row } from '../fold-rows.ts'
import { allProjections, projectionMigrations } from '../index.ts'
import { sortedRows } from '../memory-runner.ts'
import type { Projection } from '../projection.ts'
import { fromTableRow, writeOps } from '../tables.ts'

export async function openViews(projections: readonly Projection[] = allProjections): Promise<EmbeddedDatabase> {
  const database = await openEmbeddedDatabase()
  await migrate(database, projectionMigrations(projections))
  return database
}

export type View = {
  database: EmbeddedDatabase
  /** Writes the facts in one transaction. */
  take(...facts: Fact[]): Promise<void>
  asTenant<T>(tenantId: string, run: (tx: Tx) => Promise<T>): Promise<T>
  asService<T>(run: (tx: Tx) => Promise<T>): Promise<T>
  /** Forgets all rows. */
  clear(): Promise<void>
  close(): Promise<void>
}

export async function openView(...projections: Projection[]): Promise<View> {
  const database = await openViews(projections)
  return {
    database,
    take: (...facts) =>
      database.asService(async (tx) => {
        for (const projection of projections) await writeOps(tx, projection, opsOf(projection, facts))
      }),
    asTenant: database.asTenant,
    asService: database.asService,
    clear: () =>
      database.asService(async (tx) => {
        for (const { table } of projections) await tx.query(`DELETE FROM ${table}`)
      }),
    close: database.close,
  }
}

/** Every row of a view, in the order the memory runner gives them. */
export async function tableRows(database: Database, projection: Projection, table = projection.table): Promise<Row[]> {
  const { rows } = await database.asService((tx) => tx.query(`SELECT * FROM ${table}`))
  return sortedRows(
    projection.keyColumns,
    rows.map((raw) => fromTableRow(projection, raw)),
  )
}
