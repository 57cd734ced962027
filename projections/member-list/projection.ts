/** Who are a tenant's agents, staff and users? One row per member; a removed one stays, marked. */
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const memberList = projection({
  name: 'member-list',
  version: 1,
  table: 'member_list',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'member_id'],
  columns: {
    tenant_id: text,
    member_id: text,
    kind: nullable(text),
    added_at: nullable(bigint),
    added_by: nullable(text),
    removed_at: nullable(bigint),
    removed_by: nullable(text),
  },
  apply(fact) {
    switch (fact.type) {
      case 'MemberAdded':
        return [
          {
            op: 'set',
            key: { tenant_id: fact.tenantId, member_id: fact.memberId },
            values: {
              kind: fact.kind,
              added_at: fact.occurredAt,
              added_by: fact.actor,
              removed_at: null,
              removed_by: null,
            },
          },
        ]
      case 'MemberRemoved':
        return [
          {
            op: 'set',
            key: { tenant_id: fact.tenantId, member_id: fact.memberId },
            values: { removed_at: fact.occurredAt, removed_by: fact.actor },
          },
        ]
      default:
        return []
    }
  },
})
