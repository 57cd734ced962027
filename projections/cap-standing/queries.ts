/** Caps in force and how they stand. Run as the tenant. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { CapSetCapPeriod, CapSetMetric } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, type SqlInteger } from '../rows.ts'

export type Cap = {
  capId: string
  version: bigint
  metric: CapSetMetric
  limit: bigint
  period: CapSetCapPeriod
  anchorDate: string | null
  scopeMemberId: string | null
  scopeCapability: string | null
  /** What was admitted from this moment on counts. */
  countsFrom: EpochMicros
  setAt: EpochMicros
  setBy: string
}

export type CapStanding = Cap & {
  settled: bigint
  held: bigint
  /** limit − settled − held, at least 0. */
  free: bigint
  periodStart: EpochMicros
  /** Exclusive; null when the period never ends. */
  periodEnd: EpochMicros | null
}

/** Which period of the cap the moment falls in, in the tenant's time zone: admission's own `periodAt`. */
export type PeriodOf = (cap: Cap) => { start: EpochMicros; end: EpochMicros | null }

/** In order of id. Admission allows a tenant at most 100. */
export async function capsInForce(tx: Tx, tenantId: string): Promise<Cap[]> {
  return (await newestVersions(tx, tenantId, null)).filter((row) => !row.removed).map(fromRowCap)
}

/** The cap in force under this id; undefined when there never was one, or it was removed. */
export async function capById(tx: Tx, tenantId: string, capId: string): Promise<Cap | undefined> {
  const [row] = await newestVersions(tx, tenantId, capId)
  return row && !row.removed ? fromRowCap(row) : undefined
}

/** Every cap in force with what is settled and held in the period that `periodOf` says. Two statements. */
export async function capStandings(tx: Tx, tenantId: string, periodOf: PeriodOf): Promise<CapStanding[]> {
  const caps = (await capsInForce(tx, tenantId)).map((cap) => ({ cap, period: periodOf(cap) }))
  if (caps.length === 0) return []
  const { rows } = await tx.query<{ cap_id: string; settled: SqlInteger; held: SqlInteger }>(
    `SELECT s.cap_id, sum(s.settled)::text AS settled, sum(s.held)::text AS held
     FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS c(cap_id, counts_from, period_start)
     JOIN cap_standing s ON s.tenant_id = $1 AND s.cap_id = c.cap_id AND s.period_start = c.period_start
     JOIN cap_version v ON v.tenant_id = $1 AND v.cap_id = s.cap_id AND v.version = s.cap_version AND v.counts_from = c.counts_from
     GROUP BY s.cap_id`,
    [
      tenantId,
      caps.map(({ cap }) => cap.capId),
      caps.map(({ cap }) => String(cap.countsFrom)),
      caps.map(({ period }) => String(period.start)),
    ],
  )
  const counted = new Map(
    rows.map((row) => [row.cap_id, { settled: bigintFrom(row.settled), held: bigintFrom(row.held) }]),
  )
  return caps.map(({ cap, period }) => {
    const { settled, held } = counted.get(cap.capId) ?? { settled: 0n, held: 0n }
    const free = cap.limit - settled - held
    return { ...cap, settled, held, free: free > 0n ? free : 0n, periodStart: period.start, periodEnd: period.end }
  })
}

type CapRow = {
  cap_id: string
  version: SqlInteger
  removed: boolean
  metric: CapSetMetric
  limit_amount: SqlInteger
  period: CapSetCapPeriod
  anchor_date: string | null
  scope_member_id: string | null
  scope_capability: string | null
  counts_from: SqlInteger
  set_at: SqlInteger
  set_by: string
}

async function newestVersions(tx: Tx, tenantId: string, capId: string | null): Promise<CapRow[]> {
  const { rows } = await tx.query<CapRow>(
    `SELECT DISTINCT ON (cap_id) * FROM cap_version WHERE tenant_id = $1 AND ($2::text IS NULL OR cap_id = $2)
     ORDER BY cap_id, version DESC`,
    [tenantId, capId],
  )
  return rows
}

const fromRowCap = (row: CapRow): Cap => ({
  capId: row.cap_id,
  version: bigintFrom(row.version),
  metric: row.metric,
  limit: bigintFrom(row.limit_amount),
  period: row.period,
  anchorDate: row.anchor_date,
  scopeMemberId: row.scope_member_id,
  scopeCapability: row.scope_capability,
  countsFrom: bigintFrom(row.counts_from),
  setAt: bigintFrom(row.set_at),
  setBy: row.set_by,
})
