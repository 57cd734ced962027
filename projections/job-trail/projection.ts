/** What happened to a job, when, and because of whom? One row per cause, with a line for each fact that it led to. */
import { bodyOf } from '../audit-fact.ts'
import { lines, projection, sqlFile, text } from '../projection.ts'

/**
 * What one cause leads to is decided at once, and written once: a job that succeeds has three rows, of its submission, of
 * the start of its attempt and of its end, and not six. Whatever batches the facts come in, the rows are the same.
 */
export const jobTrail = projection({
  name: 'job-trail',
  version: 1,
  table: 'job_trail',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'job_id', 'caused_by'],
  columns: { tenant_id: text, job_id: text, caused_by: text, facts: lines },
  apply(fact) {
    if (!('jobId' in fact)) return []
    const { eventId, type, occurredAt, actor, correlationId, intakeOffset, traceparent } = fact
    const facts = JSON.stringify([
      eventId,
      type,
      String(occurredAt),
      actor,
      correlationId,
      intakeOffset === null ? null : String(intakeOffset),
      traceparent,
      bodyOf(fact),
    ])
    return [
      {
        op: 'append',
        key: { tenant_id: fact.tenantId, job_id: fact.jobId, caused_by: fact.causedBy },
        values: { facts },
      },
    ]
  },
})
