/** Jobs: submitted once per idempotency key, read, waited for, listed and cancelled. */
import { z } from 'zod'
import { jobEndedTopic } from '../../platform/relay/relay.ts'
import { type JobRequest, requestCancel } from '../../producers/index.ts'
import { jobPage, jobStatuses } from '../../projections/job-list/queries.ts'
import { microsFromMs } from '../../schemas/units.ts'
import { awaitReadable, ifPassing } from '../await-readable.ts'
import { fromCursor, idForm, toCursor, wholeForm } from '../http/cursor.ts'
import { cursor, id, limit, limitDefault, moment, none, wait } from '../http/forms.ts'
import { checkFromTo, notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Asked, type Route, route } from '../route.ts'
import { type FoundJob, foundJobFrom } from '../views.ts'
import { awaitEnds } from './await-ends.ts'
import { batchRoute } from './batch.ts'
import { type ApiJob, jobBody, jobReply, jobsReply, toApiEarlyJob, toApiJob } from './convert.ts'
import { jobEventsRoute } from './job-events.ts'
import { hasEnded, toJobReply } from './job-reply.ts'
import { ownKey, submissionCodes, toJobRequest } from './job-request.ts'
import { jobResultRoute } from './job-result.ts'

/** Input of 1 MiB, its escapes and the rest of the request. */
export const jobBytesMax = 1_258_291

export const jobRoutes: readonly Route[] = [
  batchRoute,
  jobEventsRoute,
  jobResultRoute,
  route({
    method: 'post',
    path: '/v1/jobs',
    summary: 'Submits a job, once per Idempotency-Key; with wait, answers with its end if that comes in time.',
    roles: ['tenant-admin', 'submitter'],
    params: none,
    query: z.strictObject({ wait }),
    body: jobBody,
    example: { capability: 'classify.sentiment', input: { text: 'What a good day.' }, maxCharge: '0.01' },
    bodyBytesMax: jobBytesMax,
    takesIdempotencyKey: true,
    replies: { 200: jobReply, 202: jobReply },
    codes: submissionCodes,
    async handle({ query, body, who, caller, idempotencyKey, gone, rest }, parts) {
      const job = await toJobRequest(body, who, idempotencyKey ?? ownKey(parts), parts)
      const { tenantId } = job
      const waitMs = (query.wait ?? 0) * 1_000
      if (waitMs === 0) {
        const { jobId, isNew } = await parts.submitter.submitJob(caller, job)
        const found = isNew ? undefined : await parts.views.job({ tenantId, jobId })
        return found ? toJobReply(found, tenantId, parts) : { status: 202, body: earlyJob(jobId, job, parts) }
      }
      let taken = { jobId: job.jobId, isNew: false }
      const ends = await awaitEnds(tenantId, waitMs, { gone, rest }, parts, async (awaited) => {
        awaited.expect(job.jobId)
        taken = await parts.submitter.submitJob(caller, job)
        awaited.taken(taken.jobId, taken.isNew)
      })
      const found = ends.get(taken.jobId)
      const reply = found && (await toJobReply(found, tenantId, parts, taken.isNew).catch(ifPassing(undefined)))
      return reply ?? { status: 202, body: earlyJob(taken.jobId, job, parts) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/jobs/{jobId}',
    summary: 'A job with its result; with wait, answers as soon as it has ended.',
    isRevalidated: true,
    roles: ['tenant-admin', 'submitter', 'reader'],
    params: z.strictObject({ jobId: id }),
    query: z.strictObject({ wait }),
    replies: { 200: jobReply },
    async handle({ params, query, who, gone, rest }, parts) {
      const { tenantId } = who
      const found = await awaitEnd({ tenantId, jobId: params.jobId }, (query.wait ?? 0) * 1_000, { gone, rest }, parts)
      if (!found) throw notFound('job')
      return { ...(await toJobReply(found, tenantId, parts)), status: 200 }
    },
  }),
  route({
    method: 'get',
    path: '/v1/jobs',
    summary:
      'Jobs of the own tenant without their results, newest first: those that meet every condition given. Where few of very many do, a page can hold fewer than its limit, or none, before the last one: go on while next is not null.',
    roles: ['tenant-admin', 'submitter', 'reader'],
    params: none,
    query: z.strictObject({
      status: z.enum(jobStatuses).optional(),
      capability: z.string().max(100).optional(),
      memberId: id.optional(),
      /** As in the header X-Request-Id of the request that submitted it. */
      correlationId: z
        .string()
        .regex(/^[A-Za-z0-9._:-]{1,128}$/, '1 to 128 letters, digits or any of . _ : -')
        .optional(),
      /** Submitted then or later, and before then. */
      from: moment.optional(),
      to: moment.optional(),
      limit,
      cursor,
    }),
    replies: { 200: jobsReply },
    async handle({ query, who }, { database }) {
      const { status, capability, memberId, correlationId, from, to } = query
      checkFromTo(from, to)
      const after = fromCursor(query.cursor, wholeForm, idForm)
      const wish = {
        limit: query.limit ?? limitDefault,
        ...(status !== undefined && { status }),
        ...(capability !== undefined && { capability }),
        ...(memberId !== undefined && { memberId }),
        ...(correlationId !== undefined && { correlationId }),
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        ...(after !== undefined && { after: { submittedAt: BigInt(after[0]), jobId: after[1] } }),
      }
      const { items, next } = await database.asTenant(who.tenantId, (tx) => jobPage(tx, who.tenantId, wish))
      return {
        status: 200,
        body: { jobs: items.map(toApiJob), next: toCursor(next && [String(next.submittedAt), next.jobId]) },
      }
    },
  }),
  route({
    method: 'delete',
    path: '/v1/jobs/{jobId}',
    summary:
      'Asks that a job be given up; one that has ended stays as it is. With wait, answers as soon as it has ended.',
    roles: ['tenant-admin', 'submitter'],
    params: z.strictObject({ jobId: id }),
    query: z.strictObject({ wait }),
    replies: { 200: jobReply, 202: jobReply },
    codes: ['LOG_UNAVAILABLE', 'LOG_BUSY'],
    async handle({ params, query, who, caller, gone, rest }, parts) {
      const key = { tenantId: who.tenantId, jobId: params.jobId }
      const before = await parts.views.job(key)
      if (!before) throw notFound('job')
      if (hasEnded(before)) return toJobReply(before, key.tenantId, parts)
      await requestCancel(parts.appender, caller, key)
      const found = await awaitEnd(key, (query.wait ?? 0) * 1_000, { gone, rest }, parts)
      return toJobReply(found ?? before, key.tenantId, parts)
    },
  }),
]

function awaitEnd(
  key: { tenantId: string; jobId: string },
  waitMs: number,
  { gone: signal, rest }: Pick<Asked<unknown, unknown, unknown>, 'gone' | 'rest'>,
  { relay, clock, views }: Parts,
): Promise<FoundJob | undefined> {
  if (waitMs === 0) return views.job(key)
  /** It ended, and this process has written its row: what stands there now. */
  let told: FoundJob | undefined
  return awaitReadable(
    { relay, clock },
    {
      listen: (hear) =>
        relay.listen(jobEndedTopic(key.tenantId, key.jobId), (message) => {
          told ??= foundJobFrom(message) // Of other processes it comes without.
          hear()
        }),
      look: async () => told ?? views.job(key),
      // One that does not exist will not end.
      isThere: (found) => hasEnded(found) || found === undefined,
      waitMs,
      signal,
      rest,
    },
  )
}

const earlyJob = (jobId: string, job: JobRequest, { clock }: Parts): ApiJob =>
  toApiEarlyJob({ ...job, jobId, submittedAt: microsFromMs(clock.nowMs()) })
