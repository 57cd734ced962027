/** What the tenants below used and were charged between two days. Run as the ancestor, who sees no other row of theirs. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { Pico } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export const rollupGroupings = ['day', 'tenant', 'period'] as const
export type RollupGrouping = (typeof rollupGroupings)[number]

export type RollupWish = {
  /** First and last UTC day, YYYY-MM-DD, both included. */
  fromDay: string
  toDay: string
  /** YYYY-MM: only charges of this billing period; undefined for all. */
  billingPeriod?: string | undefined
}

export type RollupSums = {
  currency: string
  /** Admitted jobs that ended: succeeded + failed + cancelled. */
  jobs: bigint
  succeeded: bigint
  failed: bigint
  cancelled: bigint
  inputUncachedTokens: bigint
  inputCacheReadTokens: bigint
  inputCacheWriteTokens: bigint
  outputTokens: bigint
  reasoningTokens: bigint
  chargedPico: Pico
}
/** `group`: the day, the tenant below, or the billing period. */
export type RollupGroup = RollupSums & { group: string }
export type RollupCursor = Pick<RollupGroup, 'group' | 'currency'>

/** One group per currency, in order of name and currency. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function rollupGroups(
  tx: Tx,
  tenantId: string,
  wish: RollupWish & { groupBy: RollupGrouping; limit: number; after?: RollupCursor },
): Promise<{ items: RollupGroup[]; next: RollupCursor | null }> {
  const limit = checkedLimit(wish.limit)
  const column = groupColumns[wish.groupBy]
  const { rows } = await tx.query<SumsRow & { group: string }>(
    `SELECT ${column} AS "group", ${sums} WHERE ${isAsked} AND (${column}, currency) > ($5, $6)
     GROUP BY ${column}, currency ORDER BY ${column}, currency LIMIT $7`,
    [...asked(tenantId, wish), wish.after?.group ?? '', wish.after?.currency ?? '', limit + 1],
  )
  const items = rows.map((row) => ({ group: row.group, ...fromRowSums(row) }))
  return pageOf(items, limit, ({ group, currency }) => ({ group, currency }))
}

/** The sums of everything that was asked for, by currency. */
export async function rollupTotals(tx: Tx, tenantId: string, wish: RollupWish): Promise<RollupSums[]> {
  const { rows } = await tx.query<SumsRow>(
    `SELECT ${sums} WHERE ${isAsked} GROUP BY currency ORDER BY currency`,
    asked(tenantId, wish),
  )
  return rows.map(fromRowSums)
}

const groupColumns = { day: 'day', tenant: 'from_tenant_id', period: 'billing_period' } as const

const isAsked = 'tenant_id = $1 AND day BETWEEN $2 AND $3 AND ($4::text IS NULL OR billing_period = $4)'
const asked = (tenantId: string, { fromDay, toDay, billingPeriod }: RollupWish) => [
  tenantId,
  fromDay,
  toDay,
  billingPeriod ?? null,
]

const totals = [
  'jobs',
  'succeeded',
  'failed',
  'cancelled',
  'input_uncached_tokens',
  'input_cache_read_tokens',
  'input_cache_write_tokens',
  'output_tokens',
  'reasoning_tokens',
  'charged_pico',
] as const
const sums = `currency, ${totals.map((name) => `sum(${name})::text AS ${name}`).join(', ')} FROM rollup`

type SumsRow = { currency: string } & Record<(typeof totals)[number], SqlInteger>

const fromRowSums = (row: SumsRow): RollupSums => ({
  currency: row.currency,
  jobs: bigintFrom(row.jobs),
  succeeded: bigintFrom(row.succeeded),
  failed: bigintFrom(row.failed),
  cancelled: bigintFrom(row.cancelled),
  inputUncachedTokens: bigintFrom(row.input_uncached_tokens),
  inputCacheReadTokens: bigintFrom(row.input_cache_read_tokens),
  inputCacheWriteTokens: bigintFrom(row.input_cache_write_tokens),
  outputTokens: bigintFrom(row.output_tokens),
  reasoningTokens: bigintFrom(row.reasoning_tokens),
  chargedPico: bigintFrom(row.charged_pico),
})
