/** Jobs between the API and the rest. */
import { z } from 'zod'
import { capabilities } from '../../capabilities/index.ts'
import { type FailureCode, failures } from '../../platform/errors.ts'
import { type Job, type JobRefusal, type JobUsage, jobStatuses } from '../../projections/job-list/queries.ts'
import { decimalFromPico, type EpochMicros, isoFromMicros, microsFromMs } from '../../schemas/units.ts'
import { toApiAmount } from '../caps/convert.ts'
import { quoteLengthMax } from '../estimate/quote.ts'
import { amount, id, money, next, optionalTime, time } from '../http/forms.ts'
import { inputSchema } from '../http/json-schema.ts'
import { jobRefusalMeans } from '../refusals.ts'
import type { FoundJob } from '../views.ts'

/** Long enough for a queue of many thousands before it; the caller can ask for less. */
export const deadlineMsDefault = 3_600_000
export const deadlineMsMax = 86_400_000
export const priorityDefault = 3

/** As the capabilities want it: any of them, for a schema of one field cannot look at another. */
const asOneOf = (field: 'input' | 'params') => ({
  description: `As the capability wants it: see docs/reference/capabilities.md.`,
  anyOf: capabilities.map((capability) => ({ title: capability.name, ...inputSchema(capability[`${field}Schema`]) })),
})

/** What an estimate and a job have in common; input and params are checked by the capability itself. */
export const workBody = {
  capability: z
    .string()
    .max(100)
    .meta({ enum: capabilities.map(({ name }) => name) }),
  input: z.unknown().meta(asOneOf('input')),
  params: z.unknown().meta(asOneOf('params')).optional(),
  model: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'the name of a model, 1 to 200 printable characters')
    .optional(),
  memberId: id.optional(),
  maxCharge: money.optional(),
}
export const jobBody = z.strictObject({
  ...workBody,
  /** The token of a quote for the same work: the job costs no more than that says. */
  quote: z.string().max(quoteLengthMax).optional(),
  priority: z.int().min(1).max(5).default(priorityDefault),
  deadlineMs: z.int().min(1_000).max(deadlineMsMax).default(deadlineMsDefault),
})
export type ApiJobBody = z.infer<typeof jobBody>

const metric = z.enum(['requests', 'tokens', 'money', 'unknown'])
const limited = z.union([z.number(), z.string()])
export const refusalReply = z.strictObject({
  reason: z.string(),
  means: z.string().describe('What the reason says, and what to do: see docs/reference/errors.md.'),
  /** What the job could have cost at most, when that was the reason. */
  most: amount.nullable(),
  cap: z
    .strictObject({
      id: z.string(),
      metric,
      limit: limited,
      free: limited,
      needed: limited,
      periodStart: time,
      resetsAt: optionalTime,
    })
    .nullable(),
})
const usageReply = z.strictObject({
  source: z.enum(['provider', 'counted', 'estimated', 'absent', 'unknown']),
  inputUncachedTokens: z.number(),
  inputCacheReadTokens: z.number(),
  inputCacheWriteTokens: z.number(),
  outputTokens: z.number(),
  reasoningTokens: z.number(),
})

const jobFields = {
  id: z.string(),
  status: z.enum(jobStatuses),
  capability: z.string(),
  memberId: z.string().nullable(),
  priority: z.number(),
  submittedAt: time,
  admittedAt: optionalTime,
  startedAt: optionalTime,
  endedAt: optionalTime,
  deadlineAt: optionalTime,
  /** While a failed attempt is to be repeated. */
  retryAt: optionalTime,
  cancelRequestedAt: optionalTime,
  attempts: z.number(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  /** Version of the label set that was used. */
  resourceHash: z.string().nullable(),
  failure: z.strictObject({ code: z.string(), means: z.string() }).nullable(),
  refusal: refusalReply.nullable(),
  usage: usageReply.nullable(),
  currency: z.string().nullable(),
  /** Held at admission; the most the job can cost. */
  held: amount.nullable(),
  /** What the job cost; null until it is rated. */
  charged: amount.nullable(),
  priceBookHash: z.string().nullable(),
  billingPeriod: z.string().nullable(),
  correlationId: z.string().nullable(),
}
export const jobReply = z.strictObject({
  ...jobFields,
  /** Only of a job that succeeded, while its result is kept. */
  result: z.unknown().optional(),
  resultExpired: z.literal(true).optional(),
})
export type ApiJob = z.infer<typeof jobReply>
export const jobsReply = z.strictObject({ jobs: z.array(z.strictObject(jobFields)), next })

/** A job that is in the log, but not yet in the view. */
export const toApiEarlyJob = (job: {
  jobId: string
  capability: string
  memberId: string | null
  priority: number
  submittedAt: EpochMicros
}): ApiJob => ({
  id: job.jobId,
  status: 'submitted',
  capability: job.capability,
  memberId: job.memberId,
  priority: job.priority,
  submittedAt: isoFromMicros(job.submittedAt),
  admittedAt: null,
  startedAt: null,
  endedAt: null,
  deadlineAt: null,
  retryAt: null,
  cancelRequestedAt: null,
  attempts: 0,
  provider: null,
  model: null,
  resourceHash: null,
  failure: null,
  refusal: null,
  usage: null,
  currency: null,
  held: null,
  charged: null,
  priceBookHash: null,
  billingPeriod: null,
  correlationId: null,
})

export const toApiFoundJob = (found: FoundJob): ApiJob =>
  found.kind === 'job'
    ? toApiJob(found.job)
    : toApiEarlyJob({ ...found.job, submittedAt: microsFromMs(found.job.createdAtMs) })

export const toApiJob = (job: Job): ApiJob => ({
  id: job.jobId,
  status: job.status,
  capability: job.capability,
  memberId: job.memberId,
  priority: job.priority,
  submittedAt: isoFromMicros(job.submittedAt),
  admittedAt: timeOrNull(job.admittedAt),
  startedAt: timeOrNull(job.startedAt),
  endedAt: timeOrNull(job.endedAt),
  deadlineAt: timeOrNull(job.deadlineAt),
  retryAt: timeOrNull(job.retryAt),
  cancelRequestedAt: timeOrNull(job.cancelRequestedAt),
  attempts: job.attempts,
  provider: job.provider,
  model: job.model ?? job.requestedModel,
  resourceHash: job.resourceHash,
  failure: job.failureCode === null ? null : { code: job.failureCode, means: meaningOf(job.failureCode) },
  refusal: job.refusal && toApiRefusal(job.refusal),
  usage: job.usage && toApiUsage(job.usage),
  currency: job.currency,
  held: amountOrNull(job.heldPico),
  charged: amountOrNull(job.chargedPico),
  priceBookHash: job.priceBookHash,
  billingPeriod: job.billingPeriod,
  correlationId: job.correlationId,
})

const toApiRefusal = ({ reason, neededPico, cap }: JobRefusal): z.infer<typeof refusalReply> => ({
  reason,
  means: jobRefusalMeans(reason),
  most: amountOrNull(neededPico),
  cap: cap && {
    id: cap.capId,
    metric: cap.metric,
    limit: toApiAmount(cap.metric, cap.limit),
    free: toApiAmount(cap.metric, cap.free),
    needed: toApiAmount(cap.metric, cap.needed),
    periodStart: isoFromMicros(cap.periodStart),
    resetsAt: timeOrNull(cap.resetsAt),
  },
})

const toApiUsage = (usage: JobUsage): z.infer<typeof usageReply> => ({
  source: usage.source,
  inputUncachedTokens: Number(usage.inputUncachedTokens),
  inputCacheReadTokens: Number(usage.inputCacheReadTokens),
  inputCacheWriteTokens: Number(usage.inputCacheWriteTokens),
  outputTokens: Number(usage.outputTokens),
  reasoningTokens: Number(usage.reasoningTokens),
})

const timeOrNull = (micros: EpochMicros | null): string | null => (micros === null ? null : isoFromMicros(micros))
const amountOrNull = (pico: bigint | null): string | null => (pico === null ? null : decimalFromPico(pico))
const meaningOf = (code: string): string =>
  isFailureCode(code) ? failures[code].means : 'The job failed for a reason this version does not know.'
const isFailureCode = (code: string): code is FailureCode => Object.hasOwn(failures, code)
