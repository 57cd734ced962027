/** Facts between the API, which calls them events, and the rest. */
import { z } from 'zod'
import type { AuditFact } from '../../projections/audit-trail/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { next, time } from '../http/forms.ts'

export const eventReply = z.strictObject({
  id: z.string(),
  type: z.string(),
  stream: z.string(),
  /** Its place among all facts of its partition: of two facts of a tenant the later one has the higher. */
  seq: z.string(),
  occurredAt: time,
  actor: z.string(),
  causedBy: z.string(),
  correlationId: z.string(),
  traceparent: z.string().nullable(),
  /** The event's own fields; eight-byte integers and amounts in pico-units as text. */
  body: z.record(z.string(), z.unknown()),
})
export const auditReply = z.strictObject({ events: z.array(eventReply), next })

export const toApiEvent = (fact: AuditFact): z.infer<typeof eventReply> => ({
  id: fact.eventId,
  type: fact.type,
  stream: fact.stream,
  seq: String(fact.seq),
  occurredAt: isoFromMicros(fact.occurredAt),
  actor: fact.actor,
  causedBy: fact.causedBy,
  correlationId: fact.correlationId,
  traceparent: fact.traceparent,
  body: fact.body,
})
