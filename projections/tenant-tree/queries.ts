/**
 * The tenant tree. Row-level security shows a tenant its own row only, so everything that looks along the tree runs as
 * the service, after the caller's right to ask has been decided: an ancestor may know that a descendant exists, never
 * what it does.
 */
import type { Tx } from '../../platform/postgres/database.ts'
import type { TenantRegisteredTenantLevel } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type Tenant = {
  tenantId: string
  /** The platform's is itself. */
  parentId: string
  level: TenantRegisteredTenantLevel
  name: string
  currency: string
  timeZone: string
  registeredAt: EpochMicros
  registeredBy: string
}

/** The root of the tree is there from the beginning; no fact registers it. */
export const platformTenant: Tenant = {
  tenantId: platformTenantId,
  parentId: platformTenantId,
  level: 'platform',
  name: 'Platform',
  currency: 'USD',
  timeZone: 'UTC',
  registeredAt: 0n,
  registeredBy: 'owner',
}

/** Levels are four; a chain longer than this would be a loop. */
const depthMax = 8

/** Run as the tenant or as the service. */
export async function tenantById(tx: Tx, tenantId: string): Promise<Tenant | undefined> {
  if (tenantId === platformTenantId) return platformTenant
  const { rows } = await tx.query<TenantRow>('SELECT * FROM tenant_tree WHERE tenant_id = $1', [tenantId])
  return rows[0] && fromRowTenant(rows[0])
}

/** For each id whether there is such a tenant, in order. As the service. One statement, whatever the number. */
export async function haveTenants(tx: Tx, tenantIds: readonly string[]): Promise<boolean[]> {
  const { rows } = await tx.query<{ tenant_id: string }>(
    'SELECT tenant_id FROM tenant_tree WHERE tenant_id = ANY ($1::text[])',
    [tenantIds],
  )
  const found = new Set([platformTenantId, ...rows.map((row) => row.tenant_id)])
  return tenantIds.map((id) => found.has(id))
}

/** From the parent up to the platform; empty for the platform and for a tenant that does not exist. As the service. */
export async function ancestorsOf(tx: Tx, tenantId: string): Promise<string[]> {
  const { rows } = await tx.query<{ parent_id: string }>(
    `WITH RECURSIVE up AS (
       SELECT parent_id, 1 AS depth FROM tenant_tree WHERE tenant_id = $1
       UNION ALL
       SELECT t.parent_id, up.depth + 1 FROM up JOIN tenant_tree t ON t.tenant_id = up.parent_id WHERE up.depth < ${depthMax})
     SELECT parent_id FROM up ORDER BY depth`,
    [tenantId],
  )
  return rows.map((row) => row.parent_id)
}

/** Whether `ancestorId` stands above `tenantId`; nobody is above itself. As the service. */
export const isAncestor = async (tx: Tx, ancestorId: string, tenantId: string): Promise<boolean> =>
  (await ancestorsOf(tx, tenantId)).includes(ancestorId)

/** Direct children, in order of id. As the service. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function childrenOf(
  tx: Tx,
  tenantId: string,
  wish: { limit: number; after?: string },
): Promise<{ items: Tenant[]; next: string | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<TenantRow>(
    'SELECT * FROM tenant_tree WHERE parent_id = $1 AND ($2::text IS NULL OR tenant_id > $2) ORDER BY tenant_id LIMIT $3',
    [tenantId, wish.after ?? null, limit + 1],
  )
  return pageOf(rows.map(fromRowTenant), limit, (tenant) => tenant.tenantId)
}

/**
 * Offset after the last directory fact the views show; 0 before the first. As the service. Requests carry it, so that
 * an owner decides by at least what the caller could see.
 */
export async function directoryVersion(tx: Tx): Promise<bigint> {
  const { rows } = await tx.query<{ version: SqlInteger | null }>(
    `SELECT max((offsets ->> 'directory')::bigint) AS version FROM projection_position WHERE projection = 'tenant-tree'`,
  )
  return bigintFrom(rows[0]?.version ?? 0n)
}

type TenantRow = {
  tenant_id: string
  parent_id: string
  level: TenantRegisteredTenantLevel
  name: string
  currency: string
  time_zone: string
  registered_at: SqlInteger
  registered_by: string
}

const fromRowTenant = (row: TenantRow): Tenant => ({
  tenantId: row.tenant_id,
  parentId: row.parent_id,
  level: row.level,
  name: row.name,
  currency: row.currency,
  timeZone: row.time_zone,
  registeredAt: bigintFrom(row.registered_at),
  registeredBy: row.registered_by,
})
