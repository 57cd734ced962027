/** Why something was decided, and the fact that says so. */
import type { Fact } from '../schemas/events.generated.ts'
import { eventIdFrom } from '../schemas/ids.ts'
import type { EpochMicros } from '../schemas/units.ts'
import type { OpenJob } from './execution/state.ts'
import type { Draft } from './processor.ts'

export type Cause = {
  causedBy: string
  actor: string
  correlationId: string
  traceparent: string | null
  intakeOffset: bigint | null
  now: EpochMicros
}

/** Of what the owner decides about a job by itself. */
export const ownCause = (job: OpenJob): Omit<Cause, 'causedBy' | 'now'> => ({
  actor: 'owner',
  correlationId: job.submitted.correlationId,
  traceparent: job.submitted.traceparent,
  intakeOffset: null,
})

/** `index`: its place among the facts of one decision; with what caused it, it makes the id, so that deciding again gives the same. */
export function stamp(draft: Draft, index: number, cause: Cause, seq: bigint): Fact {
  const { causedBy, actor, correlationId, traceparent, intakeOffset, now } = cause
  const eventId = draft.eventId ?? eventIdFrom(draft.tenantId, causedBy, draft.type, index)
  return { ...draft, eventId, seq, occurredAt: now, actor, correlationId, causedBy, intakeOffset, traceparent }
}
