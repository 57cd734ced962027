/** Usage of a tenant between two days, summed by what the caller wants to see. Run as the tenant. */
import { PlatformError } from '../../platform/errors.ts'
import type { Tx } from '../../platform/postgres/database.ts'
import type { Pico } from '../../schemas/units.ts'
import { bigintFrom, type SqlInteger } from '../rows.ts'

export const usageGroupings = ['day', 'capability', 'member', 'provider', 'model'] as const
export type UsageGrouping = (typeof usageGroupings)[number]

export type UsageWish = {
  /** First and last UTC day, YYYY-MM-DD, both included. */
  fromDay: string
  toDay: string
  groupBy: UsageGrouping
}

export type Usage = {
  /** Admitted jobs that ended: succeeded + failed + cancelled. */
  jobs: bigint
  succeeded: bigint
  failed: bigint
  cancelled: bigint
  /** Not among `jobs`. */
  refused: bigint
  inputUncachedTokens: bigint
  inputCacheReadTokens: bigint
  inputCacheWriteTokens: bigint
  outputTokens: bigint
  reasoningTokens: bigint
  inputBytes: bigint
  outputBytes: bigint
  durationMs: bigint
  chargedPico: Pico
  /** What providers are expected to charge, where known. */
  providerCostPico: Pico
  costUnknownJobs: bigint
}
/** `group`: the day, capability, member, provider or model; null for the tenant itself and for no attempt. */
export type UsageGroup = Usage & { group: string | null }

/** Groups in one answer; more are refused, never cut off. */
export const usageGroupsMax = 10_000

/**
 * Groups in order of their name, and the sum of all. `currency` is the tenant's, null when nothing was rated. Throws
 * REQUEST_INVALID when there are more than 10,000 groups: ask for fewer days.
 */
export async function usageBetween(
  tx: Tx,
  tenantId: string,
  wish: UsageWish,
): Promise<{ groups: UsageGroup[]; total: Usage; currency: string | null }> {
  const column = groupColumns[wish.groupBy]
  const { rows } = await tx.query<GroupRow>(
    `SELECT ${column} AS "group", max(currency) AS currency, ${sums} FROM usage_by_day
     WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 GROUP BY ${column} ORDER BY ${column} LIMIT ${usageGroupsMax + 1}`,
    [tenantId, wish.fromDay, wish.toDay],
  )
  if (rows.length > usageGroupsMax)
    throw new PlatformError('REQUEST_INVALID', { groupsMax: usageGroupsMax, groupBy: wish.groupBy })
  const groups = rows.map((row) => ({ group: row.group === '' ? null : row.group, ...fromRowUsage(row) }))
  return {
    groups,
    total: groups.reduce(sumOf, noUsage),
    currency: rows.find((row) => row.currency !== null)?.currency ?? null,
  }
}

const groupColumns = {
  day: 'day',
  capability: 'capability',
  member: 'member_id',
  provider: 'provider',
  model: 'model',
} as const

const totals = [
  'jobs',
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'input_uncached_tokens',
  'input_cache_read_tokens',
  'input_cache_write_tokens',
  'output_tokens',
  'reasoning_tokens',
  'input_bytes',
  'output_bytes',
  'duration_ms',
  'charged_pico',
  'provider_cost_pico',
  'cost_unknown_jobs',
] as const
const sums = totals.map((name) => `sum(${name})::text AS ${name}`).join(', ')

type GroupRow = { group: string; currency: string | null } & Record<(typeof totals)[number], SqlInteger>

const fromRowUsage = (row: GroupRow): Usage => ({
  jobs: bigintFrom(row.jobs),
  succeeded: bigintFrom(row.succeeded),
  failed: bigintFrom(row.failed),
  cancelled: bigintFrom(row.cancelled),
  refused: bigintFrom(row.refused),
  inputUncachedTokens: bigintFrom(row.input_uncached_tokens),
  inputCacheReadTokens: bigintFrom(row.input_cache_read_tokens),
  inputCacheWriteTokens: bigintFrom(row.input_cache_write_tokens),
  outputTokens: bigintFrom(row.output_tokens),
  reasoningTokens: bigintFrom(row.reasoning_tokens),
  inputBytes: bigintFrom(row.input_bytes),
  outputBytes: bigintFrom(row.output_bytes),
  durationMs: bigintFrom(row.duration_ms),
  chargedPico: bigintFrom(row.charged_pico),
  providerCostPico: bigintFrom(row.provider_cost_pico),
  costUnknownJobs: bigintFrom(row.cost_unknown_jobs),
})

const noUsage: Usage = {
  jobs: 0n,
  succeeded: 0n,
  failed: 0n,
  cancelled: 0n,
  refused: 0n,
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
  inputBytes: 0n,
  outputBytes: 0n,
  durationMs: 0n,
  chargedPico: 0n,
  providerCostPico: 0n,
  costUnknownJobs: 0n,
}

const sumOf = (a: Usage, b: Usage): Usage => ({
  jobs: a.jobs + b.jobs,
  succeeded: a.succeeded + b.succeeded,
  failed: a.failed + b.failed,
  cancelled: a.cancelled + b.cancelled,
  refused: a.refused + b.refused,
  inputUncachedTokens: a.inputUncachedTokens + b.inputUncachedTokens,
  inputCacheReadTokens: a.inputCacheReadTokens + b.inputCacheReadTokens,
  inputCacheWriteTokens: a.inputCacheWriteTokens + b.inputCacheWriteTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  reasoningTokens: a.reasoningTokens + b.reasoningTokens,
  inputBytes: a.inputBytes + b.inputBytes,
  outputBytes: a.outputBytes + b.outputBytes,
  durationMs: a.durationMs + b.durationMs,
  chargedPico: a.chargedPico + b.chargedPico,
  providerCostPico: a.providerCostPico + b.providerCostPico,
  costUnknownJobs: a.costUnknownJobs + b.costUnknownJobs,
})
