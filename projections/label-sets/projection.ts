/** Which label sets does a tenant have? One row per label set: the version in force. */
import { bigint, int, projection, sqlFile, text } from '../projection.ts'

export const labelSets = projection({
  name: 'label-sets',
  version: 1,
  table: 'label_set',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'label_set_id'],
  columns: {
    tenant_id: text,
    label_set_id: text,
    hash: text,
    payload_ref: text,
    payload_bytes: bigint,
    label_count: int,
    example_count: int,
    registered_at: bigint,
    registered_by: text,
  },
  apply(fact) {
    if (fact.type !== 'LabelSetRegistered') return []
    return [
      {
        op: 'set',
        key: { tenant_id: fact.tenantId, label_set_id: fact.labelSetId },
        values: {
          hash: fact.hash,
          payload_ref: fact.payloadRef,
          payload_bytes: fact.payloadBytes,
          label_count: fact.labelCount,
          example_count: fact.exampleCount,
          registered_at: fact.occurredAt,
          registered_by: fact.actor,
        },
      },
    ]
  },
})
