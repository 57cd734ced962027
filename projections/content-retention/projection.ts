/** How long is the content of a tenant kept? One row per tenant that has said so. */
import { bigint, int, projection, sqlFile, text } from '../projection.ts'

export const contentRetention = projection({
  name: 'content-retention',
  version: 1,
  table: 'content_retention',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id'],
  columns: { tenant_id: text, content_days: int, set_at: bigint, set_by: text },
  apply: (fact) =>
    fact.type === 'RetentionSet'
      ? [
          {
            op: 'set',
            key: { tenant_id: fact.tenantId },
            values: { content_days: fact.contentDays, set_at: fact.occurredAt, set_by: fact.actor },
          },
        ]
      : [],
})
