/** What happened to a tenant, when, and because of whom? One row per fact, whatever its type. */
import { type Fact, streamOf } from '../../schemas/events.generated.ts'
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const auditTrail = projection({
  name: 'audit-trail',
  version: 2,
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
    job_id: nullable(text),
    body: text,
  },
  apply(fact) {
    const {
      type,
      tenantId,
      eventId,
      seq,
      occurredAt,
      actor,
      correlationId,
      causedBy,
      intakeOffset,
      traceparent,
      ...body
    } = fact
    return [
      {
        op: 'insert',
        key: { tenant_id: tenantId, fact_seq: seq },
        values: {
          event_id: eventId,
          type,
          stream: streamOf[type],
          occurred_at: occurredAt,
          actor,
          correlation_id: correlationId,
          caused_by: causedBy,
          intake_offset: intakeOffset,
          traceparent,
          job_id: jobIdOf(fact),
          body: JSON.stringify(plain(body)),
        },
      },
    ]
  },
})

const jobIdOf = (fact: Fact): string | null => ('jobId' in fact ? fact.jobId : null)

type Plain = string | number | boolean | null | readonly Plain[] | { [name: string]: Plain }

/** JSON has no integers of eight bytes: they become text. A copy is faster than telling `JSON.stringify` with a function. */
function plain(value: unknown): Plain {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value as Plain
  if (Array.isArray(value)) return value.map(plain)
  const copy: { [name: string]: Plain } = {}
  for (const name in value) copy[name] = plain((value as Record<string, unknown>)[name])
  return copy
}
