/**
 * How long content is kept: a tenant's own value, or that of the nearest tenant above that has one. Along the tree only
 * the service can look; a tenant learns the number, and nothing else of whose it is.
 */
import type { Tx } from '../../platform/postgres/database.ts'

export type ContentDays = { contentDays: number; isOwn: boolean }

/** Levels are four; a chain longer than this would be a loop. */
const depthMax = 8

/** Undefined: neither the tenant nor one above has said so. As the service. */
export async function contentDaysOf(tx: Tx, tenantId: string): Promise<ContentDays | undefined> {
  return (await contentDaysOfMany(tx, [tenantId])).get(tenantId)
}

/** Of the tenants for which somebody has said so. As the service. One statement, whatever the number. */
export async function contentDaysOfMany(tx: Tx, tenantIds: readonly string[]): Promise<Map<string, ContentDays>> {
  const { rows } = await tx.query<{ tenant_id: string; content_days: number; depth: number }>(
    `WITH RECURSIVE up AS (
       SELECT w.id AS tenant_id, w.id AS at, 0 AS depth FROM unnest($1::text[]) AS w(id)
       UNION ALL
       SELECT up.tenant_id, t.parent_id, up.depth + 1 FROM up JOIN tenant_tree t ON t.tenant_id = up.at WHERE up.depth < ${depthMax})
     SELECT DISTINCT ON (up.tenant_id) up.tenant_id, r.content_days, up.depth
     FROM up JOIN content_retention r ON r.tenant_id = up.at ORDER BY up.tenant_id, up.depth`,
    [tenantIds],
  )
  return new Map(rows.map((row) => [row.tenant_id, { contentDays: row.content_days, isOwn: row.depth === 0 }]))
}
