/** What happens to a job, told as it happens: server-sent events that a client can take up again where it left off. */
import { z } from 'zod'
import { jobChangedTopic } from '../../platform/relay/relay.ts'
import { isSettled } from '../../projections/job-list/queries.ts'
import { type AuditFact, factsOfJob } from '../../projections/job-trail/queries.ts'
import type { FactType } from '../../schemas/events.generated.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { awaitReadable } from '../await-readable.ts'
import { eventStreamHeaders, eventText, stillHere, stillHereMs, streamMsMax } from '../http/event-stream.ts'
import { id, none, optionalTime, time } from '../http/forms.ts'
import { invalid, notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { jobReply } from './convert.ts'
import { toJobReply } from './job-reply.ts'

/** In the order in which they can come first. */
const names: Partial<Record<FactType, string>> = {
  JobSubmitted: 'submitted',
  JobAdmitted: 'admitted',
  JobRefused: 'refused',
  AttemptStarted: 'attempt-started',
  AttemptFailed: 'attempt-failed',
  CancelRequested: 'cancel-requested',
  JobSucceeded: 'succeeded',
  JobFailed: 'failed',
  JobCancelled: 'cancelled',
  JobRated: 'rated',
}
export const jobEventNames: readonly string[] = Object.values(names)

/** `data` of every event. */
export const jobEvent = z.strictObject({
  jobId: z.string(),
  at: time,
  attempt: z.int().nullable(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  /** Why an attempt or the job failed. */
  code: z.string().nullable(),
  /** When a failed attempt is repeated. */
  retryAt: optionalTime,
  /** The whole job with its result: in its last event, which is `rated`, or `refused`. */
  job: jobReply.nullable(),
})

type Key = { tenantId: string; jobId: string }

export const jobEventsRoute: Route = route({
  method: 'get',
  path: '/v1/jobs/{jobId}/events',
  summary:
    'What happens to a job as server-sent events, from its beginning or after Last-Event-ID, to its last, which carries the whole job; 204 when there is nothing after that.',
  roles: ['tenant-admin', 'submitter', 'reader'],
  params: z.strictObject({ jobId: id }),
  query: none,
  takesLastEventId: true,
  replies: { 200: 'text/event-stream', 204: null },
  async handle({ params, who, gone, rest, lastEventId }, parts) {
    const key = { tenantId: who.tenantId, jobId: params.jobId }
    const after = lastEventId === undefined ? 0n : seqOf(lastEventId)
    const found = await parts.views.job(key)
    if (!found) throw notFound('job')
    const isOver = found.kind === 'job' && isSettled(found.job)
    if (isOver && (await factsAfter(key, after, parts)).length === 0) return { status: 204 }
    rest()
    return { status: 200, headers: eventStreamHeaders, stream: eventsOf(key, after, gone, parts) }
  },
})

async function* eventsOf(key: Key, from: bigint, signal: AbortSignal, parts: Parts): AsyncIterable<string> {
  const endMs = parts.clock.nowMs() + streamMsMax
  for (let after = from; parts.clock.nowMs() < endMs; ) {
    const facts = await awaitReadable(parts, {
      listen: (hear) => parts.relay.listen(jobChangedTopic(key.tenantId, key.jobId), hear),
      look: () => factsAfter(key, after, parts),
      isThere: (some) => some.length > 0,
      waitMs: stillHereMs,
      signal,
    })
    if (signal.aborted) return
    if (facts.length === 0) yield stillHere
    for (const fact of facts) {
      const isLast = fact.type === 'JobRated' || fact.type === 'JobRefused'
      const job = isLast ? await parts.views.job(key) : undefined
      const data = toApiJobEvent(key, fact, job ? (await toJobReply(job, key.tenantId, parts)).body : null)
      yield eventText({ id: String(fact.seq), event: names[fact.type] ?? '', data })
      if (isLast) return
      after = fact.seq
    }
  }
}

const factsAfter = async ({ tenantId, jobId }: Key, after: bigint, { database }: Parts): Promise<AuditFact[]> => {
  const facts = await database.asTenant(tenantId, (tx) => factsOfJob(tx, tenantId, jobId, after))
  return facts.filter(({ type }) => names[type] !== undefined)
}

function toApiJobEvent(
  { jobId }: Key,
  { occurredAt, body }: AuditFact,
  job: z.infer<typeof jobReply> | null,
): z.infer<typeof jobEvent> {
  const text = (name: string): string | null => (typeof body[name] === 'string' ? body[name] : null)
  const retryAt = text('retryAt')
  return {
    jobId,
    at: isoFromMicros(occurredAt),
    attempt: typeof body['attemptNo'] === 'number' ? body['attemptNo'] : null,
    provider: text('provider'),
    model: text('model'),
    code: text('code'),
    retryAt: retryAt && isoFromMicros(BigInt(retryAt)),
    job,
  }
}

function seqOf(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text)
  throw invalid({
    where: 'header.Last-Event-ID',
    problem: 'It is not the id of an event of this stream.',
    expected: 'The id of the last event that was seen.',
    remedy: 'Leave it out to begin at the first event.',
  })
}
