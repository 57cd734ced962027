/** The ledger by billing period, line by line and summed. Run as the tenant. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { JobRatedJobOutcome, JobRatedKeyOwner, JobRatedLineKind } from '../../schemas/events.generated.ts'
import type { EpochMicros, Pico } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'
import type { noChargeKind } from './projection.ts'

export type LedgerLine = {
  lineId: string
  lineNo: number
  jobId: string
  /** `no_charge`: the job was rated at zero, without lines. */
  kind: JobRatedLineKind | typeof noChargeKind
  /** In the kind's unit: requests or tokens. */
  quantity: bigint
  pricePico: Pico
  /** quantity × price. */
  amountPico: Pico
  currency: string
  /** YYYY-MM in the tenant's time zone. */
  billingPeriod: string
  capability: string
  memberId: string | null
  provider: string | null
  model: string | null
  keyOwner: JobRatedKeyOwner | null
  outcome: JobRatedJobOutcome
  priceBookHash: string
  admittedAt: EpochMicros
  ratedAt: EpochMicros
  /** The fact that made the line, and the usage fact it rated. */
  ratedEventId: string
  usageEventId: string | null
  seq: bigint
}

export type LedgerCursor = { seq: bigint; lineNo: number }

/** Lines of a billing period in the order they were rated. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function ledgerPage(
  tx: Tx,
  tenantId: string,
  wish: { billingPeriod: string; limit: number; after?: LedgerCursor },
): Promise<{ items: LedgerLine[]; next: LedgerCursor | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<LineRow>(
    `SELECT * FROM ledger_line WHERE tenant_id = $1 AND billing_period = $2 AND (seq, line_no) > ($3::bigint, $4::integer)
     ORDER BY seq, line_no LIMIT $5`,
    [tenantId, wish.billingPeriod, String(wish.after?.seq ?? 0n), wish.after?.lineNo ?? 0, limit + 1],
  )
  return pageOf(rows.map(fromRowLine), limit, ({ seq, lineNo }) => ({ seq, lineNo }))
}

/** One currency: a tenant is billed in one. */
export type LedgerTotal = {
  currency: string
  kind: LedgerLine['kind']
  lines: bigint
  quantity: bigint
  amountPico: Pico
}

/** Sums of a billing period by kind of line, and the rated jobs; as many rows as there are kinds, however many lines there are. */
export async function ledgerTotals(
  tx: Tx,
  tenantId: string,
  billingPeriod: string,
): Promise<{ jobs: bigint; amountPico: Pico; byKind: LedgerTotal[] }> {
  const { rows } = await tx.query<{
    currency: string
    kind: LedgerLine['kind']
    lines: SqlInteger
    jobs: SqlInteger
    quantity: SqlInteger
    amount_pico: SqlInteger
  }>(
    `SELECT currency, kind, lines, jobs, quantity, amount_pico FROM period_total
     WHERE tenant_id = $1 AND billing_period = $2 ORDER BY currency, kind`,
    [tenantId, billingPeriod],
  )
  const byKind = rows.map(({ currency, kind, lines, quantity, amount_pico }) => ({
    currency,
    kind,
    lines: bigintFrom(lines),
    quantity: bigintFrom(quantity),
    amountPico: bigintFrom(amount_pico),
  }))
  return {
    jobs: rows.reduce((sum, row) => sum + bigintFrom(row.jobs), 0n),
    amountPico: byKind.reduce((sum, row) => sum + row.amountPico, 0n),
    byKind,
  }
}

/** Billing periods the tenant has lines in, newest first; at most 1,000. */
export async function billingPeriods(tx: Tx, tenantId: string): Promise<string[]> {
  const { rows } = await tx.query<{ billing_period: string }>(
    'SELECT DISTINCT billing_period FROM period_total WHERE tenant_id = $1 ORDER BY billing_period DESC LIMIT 1000',
    [tenantId],
  )
  return rows.map((row) => row.billing_period)
}

export async function lineById(tx: Tx, tenantId: string, lineId: string): Promise<LedgerLine | undefined> {
  const { rows } = await tx.query<LineRow>('SELECT * FROM ledger_line WHERE tenant_id = $1 AND line_id = $2', [
    tenantId,
    lineId,
  ])
  return rows[0] && fromRowLine(rows[0])
}

/** The lines of one job, in order. */
export async function linesOfJob(tx: Tx, tenantId: string, jobId: string): Promise<LedgerLine[]> {
  const { rows } = await tx.query<LineRow>(
    'SELECT * FROM ledger_line WHERE tenant_id = $1 AND job_id = $2 ORDER BY seq, line_no',
    [tenantId, jobId],
  )
  return rows.map(fromRowLine)
}

type LineRow = {
  line_id: string
  line_no: number
  job_id: string
  kind: LedgerLine['kind']
  quantity: SqlInteger
  price_pico: SqlInteger
  amount_pico: SqlInteger
  currency: string
  billing_period: string
  capability: string
  member_id: string | null
  provider: string | null
  model: string | null
  key_owner: JobRatedKeyOwner | null
  outcome: JobRatedJobOutcome
  price_book_hash: string
  admitted_at: SqlInteger
  rated_at: SqlInteger
  rated_event_id: string
  usage_event_id: string | null
  seq: SqlInteger
}

const fromRowLine = (row: LineRow): LedgerLine => ({
  lineId: row.line_id,
  lineNo: row.line_no,
  jobId: row.job_id,
  kind: row.kind,
  quantity: bigintFrom(row.quantity),
  pricePico: bigintFrom(row.price_pico),
  amountPico: bigintFrom(row.amount_pico),
  currency: row.currency,
  billingPeriod: row.billing_period,
  capability: row.capability,
  memberId: row.member_id,
  provider: row.provider,
  model: row.model,
  keyOwner: row.key_owner,
  outcome: row.outcome,
  priceBookHash: row.price_book_hash,
  admittedAt: bigintFrom(row.admitted_at),
  ratedAt: bigintFrom(row.rated_at),
  ratedEventId: row.rated_event_id,
  usageEventId: row.usage_event_id,
  seq: bigintFrom(row.seq),
})
