/** Which tenants are there, and who stands above whom? One row per registered tenant, the platform itself excepted. */
import { bigint, projection, sqlFile, text } from '../projection.ts'

export const tenantTree = projection({
  name: 'tenant-tree',
  version: 1,
  table: 'tenant_tree',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id'],
  columns: {
    tenant_id: text,
    parent_id: text,
    level: text,
    name: text,
    currency: text,
    time_zone: text,
    registered_at: bigint,
    registered_by: text,
  },
  apply(fact) {
    if (fact.type !== 'TenantRegistered') return []
    return [
      {
        op: 'insert',
        key: { tenant_id: fact.registeredTenantId },
        values: {
          parent_id: fact.parentId,
          level: fact.level,
          name: fact.name,
          currency: fact.currency,
          time_zone: fact.timeZone,
          registered_at: fact.occurredAt,
          registered_by: fact.actor,
        },
      },
    ]
  },
})
