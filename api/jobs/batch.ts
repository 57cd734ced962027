/** Many jobs in one request: each is taken or refused by itself, and a repeated batch makes no job twice. */
import { z } from 'zod'
import { isFailure } from '../../platform/errors.ts'
import { randomText } from '../../producers/index.ts'
import { idFrom } from '../../schemas/ids.ts'
import { fieldErrors } from '../http/field-errors.ts'
import { none } from '../http/forms.ts'
import { invalid, Problem, replyOf } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Asked, type Route, route } from '../route.ts'
import { jobBody } from './convert.ts'
import { submissionCodes, toJobRequest } from './job-request.ts'

export const batchJobsMax = 10_000
/** Ten thousand jobs of 6 kB; larger ones go in smaller batches. */
export const batchBytesMax = 64 * 1024 * 1024
/** Submitted side by side; the next begin when these are in the log, so that a batch leaves room for others. */
const atOnceMax = 500

const keyText = z.string().regex(/^[\x20-\x7e]{1,255}$/, '1 to 255 printable ASCII characters')
const batchItem = jobBody.extend({ key: keyText.optional() })

/** Items are looked at one by one: what is wrong with one refuses that one alone. */
export const batchBody = z.strictObject({ jobs: z.array(z.unknown()).min(1).max(batchJobsMax) })

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
  accepted: z.int(),
  refused: z.int(),
  /** One for every job of the request, in its order. */
  results: z.array(
    z.union([
      /** `isNew`: false when an earlier request with the same key made the job. */
      z.strictObject({ index: z.int(), id: z.string(), isNew: z.boolean() }),
      z.strictObject({ index: z.int(), problem: itemProblem }),
    ]),
  ),
})
type BatchResult = z.infer<typeof batchReply>['results'][number]

export const batchRoute: Route = route({
  method: 'post',
  path: '/v1/jobs/batch',
  summary:
    'Submits up to 10,000 jobs, each by itself: one that cannot be taken has its problem in its place. With Idempotency-Key, or a key for each job, a repeated batch makes no job twice.',
  roles: ['tenant-admin', 'submitter'],
  params: none,
  query: none,
  body: batchBody,
  example: {
    jobs: [
      { key: 'review-1', capability: 'classify.sentiment', input: { text: 'What a good day.' } },
      { key: 'review-2', capability: 'classify.sentiment', input: { text: 'Nobody came.' }, priority: 1 },
    ],
  },
  bodyBytesMax: batchBytesMax,
  takesIdempotencyKey: true,
  replies: { 200: batchReply },
  codes: submissionCodes,
  async handle(asked, parts) {
    const { jobs } = asked.body
    const batchKey = asked.idempotencyKey ?? randomText(parts.random)
    const results: BatchResult[] = []
    for (let from = 0; from < jobs.length; from += atOnceMax) {
      const some = jobs.slice(from, from + atOnceMax)
      results.push(...(await Promise.all(some.map((job, at) => submitOne(job, from + at, batchKey, asked, parts)))))
    }
    const accepted = results.filter((result) => 'id' in result).length
    return { status: 200, body: { accepted, refused: results.length - accepted, results } }
  },
})

async function submitOne(
  job: unknown,
  index: number,
  batchKey: string,
  { who, caller }: Pick<Asked<unknown, unknown, unknown>, 'who' | 'caller'>,
  parts: Parts,
): Promise<BatchResult> {
  const where = `body.jobs[${index}]`
  try {
    const item = batchItem.safeParse(job, { reportInput: true })
    if (!item.success) throw invalid(...fieldErrors(where, item.error))
    const { key = idFrom('bat', batchKey, index), ...body } = item.data
    const request = await toJobRequest(body, who, key, parts, where)
    const { jobId, isNew } = await parts.submitter.submitJob(caller, request)
    return { index, id: jobId, isNew }
  } catch (error) {
    // A fault of our own is told of the whole batch, and logged: repeated, it makes no job twice.
    if (!(error instanceof Problem) && !isFailure(error)) throw error
    const { instance: _, ...problem } = replyOf(error, caller.correlationId).document
    return { index, problem: itemProblem.parse(problem) }
  }
}
