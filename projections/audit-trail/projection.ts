/**
 * What was done to a tenant beside its jobs, when, and because of whom? One row per fact that is about no job, whatever its
 * type; those about a job stand in the job trail.
 */
import { type Fact, type FactType, streamOf } from '../../schemas/events.generated.ts'
import { bodyOf } from '../audit-fact.ts'
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const auditTrail = projection({
  name: 'audit-trail',
  version: 4,
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
          body: JSON.stringify(shownOf(fact)),
        },
      },
    ]
  },
})

/**
 * What the view does not have, so that nobody who reads it can show it: the hash of a token, which is for those who check
 * tokens, and the text of a price book, which may be 8 MiB and is found by its hash in the view of price books.
 */
const leftOut: Partial<Record<FactType, readonly string[]>> = {
  TokenIssued: ['secretHash'],
  PriceBookPublished: ['book'],
} satisfies { [T in FactType]?: readonly (keyof Extract<Fact, { type: T }>)[] }

function shownOf(fact: Fact): ReturnType<typeof bodyOf> {
  const body = bodyOf(fact)
  for (const name of leftOut[fact.type] ?? []) delete body[name]
  return body
}
