/** Jobs as the view has them. Run as the tenant; `jobsById`, which serves many tenants at once, as the service. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { JobRefusedJobRefusal, JobRefusedMetric, UsageMeteredUsageSource } from '../../schemas/events.generated.ts'
import type { EpochMicros, Pico } from '../../schemas/units.ts'
import { type Row, type Rows, rowId } from '../fold-rows.ts'
import { bigintFrom, bigintOrNull, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'
import { jobList } from './projection.ts'

export const jobStatuses = ['submitted', 'admitted', 'running', 'succeeded', 'failed', 'refused', 'cancelled'] as const
export type JobStatus = (typeof jobStatuses)[number]

export type Job = {
  tenantId: string
  jobId: string
  status: JobStatus
  capability: string
  memberId: string | null
  /** 1 (most urgent) to 5. */
  priority: number
  resourceId: string | null
  resourceHash: string | null
  /** Model the caller insisted on. */
  requestedModel: string | null
  submittedBy: string
  correlationId: string
  inputRef: string
  inputBytes: bigint
  inputMac: string
  maxChargePico: Pico | null
  submittedAt: EpochMicros
  admittedAt: EpochMicros | null
  startedAt: EpochMicros | null
  retryAt: EpochMicros | null
  cancelRequestedAt: EpochMicros | null
  deadlineAt: EpochMicros | null
  endedAt: EpochMicros | null
  ratedAt: EpochMicros | null
  attempts: number
  provider: string | null
  model: string | null
  resultRef: string | null
  resultBytes: bigint | null
  resultMac: string | null
  failureCode: string | null
  refusal: JobRefusal | null
  usage: JobUsage | null
  currency: string | null
  priceBookHash: string | null
  billingPeriod: string | null
  /** Held at admission; given up when the job is rated. */
  heldPico: Pico | null
  /** Null until the job is rated. */
  chargedPico: Pico | null
}

export type JobRefusal = {
  reason: JobRefusedJobRefusal
  /** What the job could have cost at most, when that was the reason. */
  neededPico: Pico | null
  cap: {
    capId: string
    metric: JobRefusedMetric
    limit: bigint
    free: bigint
    needed: bigint
    periodStart: EpochMicros
    resetsAt: EpochMicros | null
  } | null
}

export type JobUsage = {
  source: UsageMeteredUsageSource
  inputUncachedTokens: bigint
  inputCacheReadTokens: bigint
  inputCacheWriteTokens: bigint
  outputTokens: bigint
  reasoningTokens: bigint
}

/** A job that no longer changes and shows its charge. */
export const isSettled = (job: Job): boolean => job.status === 'refused' || job.ratedAt !== null

/** Of rows that were written a moment ago; undefined for a job that is not among them, or may still change. */
export function settledJob(rows: Rows | undefined, { tenantId, jobId }: { tenantId: string; jobId: string }) {
  const row = rows?.get(rowId(jobList.keyColumns, { tenant_id: tenantId, job_id: jobId }))
  const job = row && fromRowJob(row as Row & JobRow) // The columns are the same, in the table and beside it.
  return job && isSettled(job) ? job : undefined
}

export async function jobById(tx: Tx, tenantId: string, jobId: string): Promise<Job | undefined> {
  const { rows } = await tx.query<JobRow>('SELECT * FROM job_list WHERE tenant_id = $1 AND job_id = $2', [
    tenantId,
    jobId,
  ])
  return rows[0] && fromRowJob(rows[0])
}

/** One answer per job asked for, in order; undefined where there is none. One statement, whatever the number. */
export async function jobsById(
  tx: Tx,
  wanted: readonly { tenantId: string; jobId: string }[],
): Promise<(Job | undefined)[]> {
  const { rows } = await tx.query<JobRow & { asked: SqlInteger }>(
    `SELECT w.asked, j.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(tenant_id, job_id, asked)
     JOIN job_list j ON j.tenant_id = w.tenant_id AND j.job_id = w.job_id`,
    [wanted.map((w) => w.tenantId), wanted.map((w) => w.jobId)],
  )
  const found = new Map(rows.map((row) => [Number(row.asked), row]))
  return wanted.map((_, index) => {
    const row = found.get(index + 1)
    return row && fromRowJob(row)
  })
}

export type JobCursor = { submittedAt: EpochMicros; jobId: string }
export type JobPageWish = {
  status?: JobStatus
  capability?: string
  memberId?: string
  correlationId?: string
  /** Submitted then or later. */
  from?: EpochMicros
  /** Submitted before then. */
  to?: EpochMicros
  /** 1 to 1,000. */
  limit: number
  /** Last job of the page before. */
  after?: JobCursor
}

/** Jobs looked at for one page: some 20 ms. Only submission times are indexed; each index more would cost every job. */
const lookedAtMax = 10_000
const timeMax = 2n ** 63n - 1n

/**
 * Newest first. Jobs submitted meanwhile never shift a later page. With few jobs that meet the conditions a page may hold
 * fewer than its limit, even none, before the last one: then `next` is where looking goes on. Throws REQUEST_INVALID for a
 * limit out of bounds.
 */
export async function jobPage(
  tx: Tx,
  tenantId: string,
  wish: JobPageWish,
  lookMax = lookedAtMax,
): Promise<{ items: Job[]; next: JobCursor | null }> {
  const limit = checkedLimit(wish.limit)
  // A page goes on before its cursor, the first one before `to`: with one bound above, the index is entered there.
  const end = wish.after ?? { submittedAt: wish.to ?? timeMax, jobId: '' }
  const { rows } = await tx.query<JobRow & { nth: SqlInteger; is_wanted: boolean }>(
    `SELECT * FROM (
       SELECT *, row_number() OVER (ORDER BY submitted_at DESC, job_id DESC) AS nth,
         ($5::text IS NULL OR status = $5) AND ($6::text IS NULL OR capability = $6)
           AND ($7::text IS NULL OR member_id IS NOT DISTINCT FROM $7) AND ($8::text IS NULL OR correlation_id = $8) AS is_wanted
       FROM job_list WHERE tenant_id = $1 AND (submitted_at, job_id) < ($2::bigint, $3::text) AND submitted_at >= $4::bigint
       ORDER BY submitted_at DESC, job_id DESC LIMIT $10
     ) AS looked_at WHERE is_wanted OR nth = $10 ORDER BY submitted_at DESC, job_id DESC LIMIT $9`,
    [
      tenantId,
      String(end.submittedAt),
      end.jobId,
      String(wish.from ?? 0n),
      wish.status ?? null,
      wish.capability ?? null,
      wish.memberId ?? null,
      wish.correlationId ?? null,
      limit + 1,
      lookMax,
    ],
  )
  const wanted = rows.filter((row) => row.is_wanted).map(fromRowJob)
  const page = pageOf(wanted, limit, cursorOf)
  const last = rows.at(-1)
  const isCut = page.next === null && last !== undefined && Number(last.nth) === lookMax
  return isCut ? { ...page, next: cursorOf(fromRowJob(last)) } : page
}

const cursorOf = ({ submittedAt, jobId }: Job): JobCursor => ({ submittedAt, jobId })

type JobRow = {
  tenant_id: string
  job_id: string
  status: JobStatus
  capability: string
  member_id: string | null
  priority: number
  resource_id: string | null
  resource_hash: string | null
  requested_model: string | null
  submitted_by: string
  correlation_id: string
  input_ref: string
  input_bytes: SqlInteger
  input_mac: string
  max_charge_pico: SqlInteger | null
  submitted_at: SqlInteger
  admitted_at: SqlInteger | null
  started_at: SqlInteger | null
  retry_at: SqlInteger | null
  cancel_requested_at: SqlInteger | null
  deadline_at: SqlInteger | null
  ended_at: SqlInteger | null
  rated_at: SqlInteger | null
  attempts: number
  provider: string | null
  model: string | null
  result_ref: string | null
  result_bytes: SqlInteger | null
  result_mac: string | null
  failure_code: string | null
  refusal: RefusalJson | null
  usage: UsageJson | null
  currency: string | null
  price_book_hash: string | null
  billing_period: string | null
  held_pico: SqlInteger | null
  charged_pico: SqlInteger | null
}

const fromRowJob = (row: JobRow): Job => ({
  tenantId: row.tenant_id,
  jobId: row.job_id,
  status: row.status,
  capability: row.capability,
  memberId: row.member_id,
  priority: row.priority,
  resourceId: row.resource_id,
  resourceHash: row.resource_hash,
  requestedModel: row.requested_model,
  submittedBy: row.submitted_by,
  correlationId: row.correlation_id,
  inputRef: row.input_ref,
  inputBytes: bigintFrom(row.input_bytes),
  inputMac: row.input_mac,
  maxChargePico: bigintOrNull(row.max_charge_pico),
  submittedAt: bigintFrom(row.submitted_at),
  admittedAt: bigintOrNull(row.admitted_at),
  startedAt: bigintOrNull(row.started_at),
  retryAt: bigintOrNull(row.retry_at),
  cancelRequestedAt: bigintOrNull(row.cancel_requested_at),
  deadlineAt: bigintOrNull(row.deadline_at),
  endedAt: bigintOrNull(row.ended_at),
  ratedAt: bigintOrNull(row.rated_at),
  attempts: row.attempts,
  provider: row.provider,
  model: row.model,
  resultRef: row.result_ref,
  resultBytes: bigintOrNull(row.result_bytes),
  resultMac: row.result_mac,
  failureCode: row.failure_code,
  refusal: row.refusal && fromRowRefusal(row.refusal),
  usage: row.usage && fromRowUsage(row.usage),
  currency: row.currency,
  priceBookHash: row.price_book_hash,
  billingPeriod: row.billing_period,
  heldPico: bigintOrNull(row.held_pico),
  chargedPico: bigintOrNull(row.charged_pico),
})

type Texts<T> = { [N in keyof T]: bigint extends T[N] ? string | Exclude<T[N], bigint> : T[N] }
type RefusalJson = Texts<Omit<JobRefusal, 'cap'>> & { cap: Texts<NonNullable<JobRefusal['cap']>> | null }
type UsageJson = Texts<JobUsage>

const fromRowRefusal = ({ reason, neededPico, cap }: RefusalJson): JobRefusal => ({
  reason,
  neededPico: bigintOrNull(neededPico),
  cap: cap && {
    capId: cap.capId,
    metric: cap.metric,
    limit: BigInt(cap.limit),
    free: BigInt(cap.free),
    needed: BigInt(cap.needed),
    periodStart: BigInt(cap.periodStart),
    resetsAt: bigintOrNull(cap.resetsAt),
  },
})

const fromRowUsage = (usage: UsageJson): JobUsage => ({
  source: usage.source,
  inputUncachedTokens: BigInt(usage.inputUncachedTokens),
  inputCacheReadTokens: BigInt(usage.inputCacheReadTokens),
  inputCacheWriteTokens: BigInt(usage.inputCacheWriteTokens),
  outputTokens: BigInt(usage.outputTokens),
  reasoningTokens: BigInt(usage.reasoningTokens),
})
