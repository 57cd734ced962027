/** A fact as the trails show it: what every fact has as fields of its own, and what its event says as JSON. */
import { type Fact, type FactType, factHeaderNames } from '../schemas/events.generated.ts'
import type { FactStream } from '../schemas/streams.ts'
import type { EpochMicros } from '../schemas/units.ts'
import type { Json } from './projection.ts'

export type AuditFact = {
  tenantId: string
  seq: bigint
  eventId: string
  type: FactType
  stream: FactStream
  occurredAt: EpochMicros
  actor: string
  correlationId: string
  causedBy: string
  intakeOffset: bigint | null
  traceparent: string | null
  jobId: string | null
  /** The event's own fields; eight-byte integers and amounts as text. */
  body: { readonly [name: string]: Json }
}

type Plain = string | number | boolean | null | readonly Plain[] | { [name: string]: Plain }

/** What has a place of its own in an `AuditFact`, or is the key of a job's trail. */
const ownFields: ReadonlySet<string> = new Set(['type', 'jobId', ...factHeaderNames])

/** What the event says beyond that, for JSON. */
export function bodyOf(fact: Fact): { [name: string]: Plain } {
  const body: { [name: string]: Plain } = {}
  for (const name in fact)
    if (!ownFields.has(name)) body[name] = plain((fact as Readonly<Record<string, unknown>>)[name])
  return body
}

/** JSON has no integers of eight bytes: they become text. A copy is faster than telling `JSON.stringify` with a function. */
function plain(value: unknown): Plain {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value as Plain
  if (Array.isArray(value)) return value.map(plain)
  const copy: { [name: string]: Plain } = {}
  for (const name in value) copy[name] = plain((value as Record<string, unknown>)[name])
  return copy
}
