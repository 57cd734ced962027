/** How long content is kept: as the tenant for its own, as the service for those of many. */
import type { Tx } from '../../platform/postgres/database.ts'

/** Undefined: the default holds. */
export async function contentDaysOf(tx: Tx, tenantId: string): Promise<number | undefined> {
  return (await contentDaysOfMany(tx, [tenantId])).get(tenantId)
}

/** Of the tenants that have said so. */
export async function contentDaysOfMany(tx: Tx, tenantIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ tenant_id: string; content_days: number }>(
    'SELECT tenant_id, content_days FROM content_retention WHERE tenant_id = ANY ($1::text[])',
    [tenantIds],
  )
  return new Map(rows.map((row) => [row.tenant_id, row.content_days]))
}
