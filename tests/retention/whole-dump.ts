/** Everything that every table holds, as text; bytes as they are, so that what is in the clear is found. */
import type { Database } from '../../platform/postgres/database.ts'

export async function wholeDump(
  database: Database,
): Promise<{ text: string; rowsOf(table: string, tenantId: string): number }> {
  const counts = new Map<string, number>()
  const parts: string[] = []
  await database.asService(async (tx) => {
    const tables = await tx.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
         AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1`,
    )
    for (const { name } of tables.rows) {
      const { rows } = await tx.query<{ row: Record<string, unknown> }>(`SELECT to_jsonb(t) AS row FROM ${name} t`)
      for (const { row } of rows) {
        const key = `${name} ${String(row['tenant_id'])}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
        parts.push(...Object.values(row).map(inTheClear))
      }
    }
  })
  return { text: parts.join('\n'), rowsOf: (table, tenantId) => counts.get(`${table} ${tenantId}`) ?? 0 }
}

const inTheClear = (value: unknown): string =>
  typeof value === 'string' && value.startsWith('\\x')
    ? Buffer.from(value.slice(2), 'hex').toString('latin1')
    : JSON.stringify(value)
