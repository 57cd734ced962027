/** Facts of a tenant that are about none of its jobs. Run as the tenant; `answersToMany` as the service. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { FactType } from '../../schemas/events.generated.ts'
import type { FactStream } from '../../schemas/streams.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { AuditFact } from '../audit-fact.ts'
import { bigintFrom, bigintOrNull, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type { AuditFact } from '../audit-fact.ts'

/** One request leads to a handful of facts. */
export const answersMax = 100

const isAnswer = 'intake_offset IS NOT NULL'

/** The facts a request that is not about a job led to, in order: empty until its answer is out. At most 100. */
export async function answersTo(tx: Tx, tenantId: string, requestId: string): Promise<AuditFact[]> {
  const { rows } = await tx.query<AuditRow>(
    `SELECT * FROM audit_trail WHERE tenant_id = $1 AND caused_by = $2 AND ${isAnswer} ORDER BY fact_seq LIMIT ${answersMax}`,
    [tenantId, requestId],
  )
  return rows.map(fromRowAudit)
}

/** As `answersTo` for many requests at once, one answer per request, in order. One statement, whatever the number. */
export async function answersToMany(
  tx: Tx,
  wanted: readonly { tenantId: string; requestId: string }[],
): Promise<AuditFact[][]> {
  const { rows } = await tx.query<AuditRow & { asked: SqlInteger }>(
    `SELECT w.asked, f.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(tenant_id, caused_by, asked)
     CROSS JOIN LATERAL (SELECT * FROM audit_trail a
       WHERE a.tenant_id = w.tenant_id AND a.caused_by = w.caused_by AND ${isAnswer}
       ORDER BY a.fact_seq LIMIT ${answersMax}) f
     ORDER BY w.asked, f.fact_seq`,
    [wanted.map((w) => w.tenantId), wanted.map((w) => w.requestId)],
  )
  const answers: AuditFact[][] = wanted.map(() => [])
  for (const row of rows) answers[Number(row.asked) - 1]?.push(fromRowAudit(row))
  return answers
}

export type AuditPageWish = {
  type?: FactType
  fromAt?: EpochMicros
  /** Exclusive. */
  toAt?: EpochMicros
  /** 1 to 1,000. */
  limit: number
  /** seq of the last fact of the page before. */
  beforeSeq?: bigint
}

/** Newest first. Throws REQUEST_INVALID for a limit out of bounds. */
export async function auditPage(
  tx: Tx,
  tenantId: string,
  wish: AuditPageWish,
): Promise<{ items: AuditFact[]; next: bigint | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<AuditRow>(
    `SELECT * FROM audit_trail WHERE tenant_id = $1 AND ($2::text IS NULL OR type = $2)
       AND ($3::bigint IS NULL OR occurred_at >= $3) AND ($4::bigint IS NULL OR occurred_at < $4)
       AND ($5::bigint IS NULL OR fact_seq < $5)
     ORDER BY fact_seq DESC LIMIT $6`,
    [
      tenantId,
      wish.type ?? null,
      textOrNull(wish.fromAt),
      textOrNull(wish.toAt),
      textOrNull(wish.beforeSeq),
      limit + 1,
    ],
  )
  return pageOf(rows.map(fromRowAudit), limit, (fact) => fact.seq)
}

const textOrNull = (value: bigint | undefined): string | null => (value === undefined ? null : String(value))

type AuditRow = {
  tenant_id: string
  fact_seq: SqlInteger
  event_id: string
  type: FactType
  stream: FactStream
  occurred_at: SqlInteger
  actor: string
  correlation_id: string
  caused_by: string
  intake_offset: SqlInteger | null
  traceparent: string | null
  body: string
}

const fromRowAudit = (row: AuditRow): AuditFact => ({
  tenantId: row.tenant_id,
  seq: bigintFrom(row.fact_seq),
  eventId: row.event_id,
  type: row.type,
  stream: row.stream,
  occurredAt: bigintFrom(row.occurred_at),
  actor: row.actor,
  correlationId: row.correlation_id,
  causedBy: row.caused_by,
  intakeOffset: bigintOrNull(row.intake_offset),
  traceparent: row.traceparent,
  jobId: null,
  body: JSON.parse(row.body) as AuditFact['body'],
})
