/** Which erasures of content were asked for, and which are carried out? One row per erasure. */
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const erasureList = projection({
  name: 'erasure-list',
  version: 1,
  table: 'erasure_list',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'erasure_id'],
  columns: {
    tenant_id: text,
    erasure_id: text,
    requested_at: bigint,
    requested_by: text,
    erased_at: nullable(bigint),
    keys: nullable(bigint),
    payloads: nullable(bigint),
  },
  apply(fact) {
    switch (fact.type) {
      case 'ErasureRequested':
        return [{ op: 'set', key: keyOf(fact), values: { requested_at: fact.occurredAt, requested_by: fact.actor } }]
      case 'ContentErased':
        return [
          {
            op: 'set',
            key: keyOf(fact),
            values: { erased_at: fact.occurredAt, keys: fact.keys, payloads: fact.payloads },
          },
        ]
      default:
        return []
    }
  },
})

const keyOf = ({ tenantId, erasureId }: { tenantId: string; erasureId: string }) => ({
  tenant_id: tenantId,
  erasure_id: erasureId,
})
