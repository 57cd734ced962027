/**
 * What was done to a tenant beside its jobs, when, and because of whom? One row per fact that is about no job, whatever its
 * type; those about a job stand in the job trail.
 */
import { streamOf } from '../../schemas/events.generated.ts'
import { bodyOf } from '../audit-fact.ts'
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const auditTrail = projection({
  name: 'audit-trail',
  version: 3,
  table: 'audit_trail',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'fact_seq'],
  columns: {
    tenant_id: text,
    fact_seq: bigint,
    event_id: text,
    type: text,
    stream: text,
    occurred_at: bigint,
    actor: text,
    correlation_id: text,
    caused_by: text,
    intake_offset: nullable(bigint),
    traceparent: nullable(text),
    body: text,
  },
  apply(fact) {
    if ('jobId' in fact) return []
    return [
      {
        op: 'insert',
        key: { tenant_id: fact.tenantId, fact_seq: fact.seq },
        values: {
          event_id: fact.eventId,
          type: fact.type,
          stream: streamOf[fact.type],
          occurred_at: fact.occurredAt,
          actor: fact.actor,
          correlation_id: fact.correlationId,
          caused_by: fact.causedBy,
          intake_offset: fact.intakeOffset,
          traceparent: fact.traceparent,
          body: JSON.stringify(bodyOf(fact)),
        },
      },
    ]
  },
})
