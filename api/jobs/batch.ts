/** Many jobs in one request: each is taken or refused by itself, and a repeated batch makes no job twice. */
import { z } from 'zod'
import { isFailure } from '../../platform/errors.ts'
import { idFrom } from '../../schemas/ids.ts'
import { ifPassing } from '../await-readable.ts'
import { fieldErrors } from '../http/field-errors.ts'
import { none, wait } from '../http/forms.ts'
import { inputSchema } from '../http/json-schema.ts'
import { invalid, Problem, replyOf } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Asked, type Route, route } from '../route.ts'
import type { FoundJob } from '../views.ts'
import { type Awaited, awaitEnds } from './await-ends.ts'
import { jobBody, jobReply, toApiFoundJob } from './convert.ts'
import { withResult } from './job-reply.ts'
import { ownKey, submissionCodes, toJobRequest } from './job-request.ts'

export const batchJobsMax = 10_000
/** Ten thousand jobs of 6 kB; larger ones go in smaller batches. */
export const batchBytesMax = 64 * 1024 * 1024
/** A job with all its fields has 13; the rest is for what is wrong with some, so that they are refused by themselves. */
const batchValuesMax = 25 * batchJobsMax
/** Submitted side by side; the next begin when these are in the log, so that a batch leaves room for others. */
const atOnceMax = 500
/** Results in one answer; a batch whose results are larger is answered with the rest of each job, whose result is fetched by itself. */
const resultBytesMax = 32 * 1024 * 1024
const resultsAtOnceMax = 64

const keyText = z
  .string()
  .regex(/^[\x20-\x7e]{1,255}$/, '1 to 255 printable ASCII characters')
  .describe('The idempotency key of this job: that of the header Idempotency-Key of a single submission.')
const batchItem = jobBody.extend({ key: keyText.optional() })

/** Items are looked at one by one: what is wrong with one refuses that one alone. */
export const batchBody = z.strictObject({
  jobs: z
    .array(z.unknown().meta(inputSchema(batchItem)))
    .min(1)
    .max(batchJobsMax),
})

const itemProblem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  canRetry: z.boolean(),
  detail: z.string().optional(),
  errors: z
    .array(z.strictObject({ where: z.string(), problem: z.string(), expected: z.string(), remedy: z.string() }))
    .optional(),
})
export const batchReply = z.strictObject({
  accepted: z.int().describe('Items that were taken; such a job can still end as refused, at a cap for example.'),
  refused: z.int().describe('Items that were not taken, each with its problem: not jobs that ended as refused.'),
  /** One for every job of the request, in its order. */
  results: z.array(
    z.union([
      z.strictObject({
        index: z.int(),
        id: z.string(),
        /** False when an earlier request with the same key made the job. */
        isNew: z.boolean(),
        /** With wait: the job as it stands, with its result if it has succeeded. */
        job: jobReply.optional(),
        /** The result found no room in this answer, and is there for GET /v1/jobs/{id}/result. */
        isResultLeftOut: z.literal(true).optional(),
      }),
      z.strictObject({ index: z.int(), problem: itemProblem }),
    ]),
  ),
})
type BatchResult = z.infer<typeof batchReply>['results'][number]

export const batchRoute: Route = route({
  method: 'post',
  path: '/v1/jobs/batch',
  summary:
    'Submits up to 10,000 jobs, each by itself: one that cannot be taken has its problem in its place. With Idempotency-Key, or a key for each job, a repeated batch makes no job twice. With wait, answers when all that were taken have ended, or the time is over, with every job as it then stands.',
  roles: ['tenant-admin', 'submitter'],
  params: none,
  query: z.strictObject({ wait }),
  body: batchBody,
  example: {
    jobs: [
      { key: 'review-1', capability: 'classify.sentiment', input: { text: 'What a good day.' } },
      { key: 'review-2', capability: 'classify.sentiment', input: { text: 'Nobody came.' }, priority: 1 },
    ],
  },
  bodyBytesMax: batchBytesMax,
  bodyValuesMax: batchValuesMax,
  takesIdempotencyKey: true,
  replies: { 200: batchReply },
  codes: submissionCodes,
  async handle(asked, parts) {
    const { tenantId } = asked.who
    const keyOf = keysOf(asked.idempotencyKey, parts)
    const waitMs = (asked.query.wait ?? 0) * 1_000
    let results: BatchResult[] = []
    const submit = async (awaited?: Awaited) => {
      results = await submitAll(asked, keyOf, parts, awaited)
    }
    if (waitMs === 0) await submit()
    else {
      const jobs = await awaitEnds(tenantId, waitMs, asked, parts, submit)
      results = await withJobs(results, jobs, tenantId, parts)
    }
    const accepted = results.filter((result) => 'id' in result).length
    return { status: 200, body: { accepted, refused: results.length - accepted, results } }
  },
})

type AskedBatch = Asked<unknown, unknown, z.infer<typeof batchBody>>

/** The idempotency key of an item that brings none. */
type KeyOf = (index: number) => string

function keysOf(batchKey: string | undefined, parts: Parts): KeyOf {
  if (batchKey !== undefined) return (index) => idFrom('bat', batchKey, index)
  const own = ownKey(parts)
  return (index) => `${own}-${index}`
}

async function submitAll(asked: AskedBatch, keyOf: KeyOf, parts: Parts, awaited?: Awaited): Promise<BatchResult[]> {
  const { jobs } = asked.body
  const results: BatchResult[] = []
  while (jobs.length > 0) {
    // Taken out, because what is left in it stays in memory for as long as the answer is waited for.
    const some = jobs.splice(0, atOnceMax)
    const from = results.length
    const taken = some.map((job, at) => submitOne(job, from + at, keyOf, asked, parts, awaited))
    results.push(...(await Promise.all(taken)))
  }
  return results
}

async function submitOne(
  job: unknown,
  index: number,
  keyOf: KeyOf,
  { who, caller }: AskedBatch,
  parts: Parts,
  awaited: Awaited | undefined,
): Promise<BatchResult> {
  const where = `body.jobs[${index}]`
  try {
    const item = batchItem.safeParse(job, { reportInput: true })
    if (!item.success) throw invalid(...fieldErrors(where, item.error))
    const { key = keyOf(index), ...body } = item.data
    const request = await toJobRequest(body, who, key, parts, where)
    awaited?.expect(request.jobId)
    const { jobId, isNew } = await parts.submitter.submitJob(caller, request)
    awaited?.taken(jobId, isNew)
    return { index, id: jobId, isNew }
  } catch (error) {
    // A fault of our own is told of the whole batch, and logged: repeated, it makes no job twice.
    if (!(error instanceof Problem) && !isFailure(error)) throw error
    const { instance: _, ...problem } = replyOf(error, caller.correlationId).document
    return { index, problem: itemProblem.parse(problem) }
  }
}

/** Each result with its job, in their order: results of jobs as long as there is room for them. */
async function withJobs(
  results: readonly BatchResult[],
  jobs: ReadonlyMap<string, FoundJob>,
  tenantId: string,
  parts: Parts,
): Promise<BatchResult[]> {
  let bytes = 0
  const withJob = async (result: BatchResult): Promise<BatchResult> => {
    if (!('id' in result)) return result
    const found = jobs.get(result.id)
    if (!found) return result
    const hasResult = found.kind === 'job' && found.job.resultRef !== null
    const isFull = hasResult && bytes > resultBytesMax
    const whole = isFull
      ? undefined
      : await withResult(found, tenantId, parts, result.isNew).catch(ifPassing(undefined))
    if (!whole) return { ...result, job: toApiFoundJob(found), isResultLeftOut: true }
    bytes += whole.resultBytes
    return { ...result, job: whole.job }
  }
  const complete: BatchResult[] = []
  for (let from = 0; from < results.length; from += resultsAtOnceMax)
    complete.push(...(await Promise.all(results.slice(from, from + resultsAtOnceMax).map(withJob))))
  return complete
}
