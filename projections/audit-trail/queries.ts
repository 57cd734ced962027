/** Facts of a tenant that are about none of its jobs. Run as the tenant; `answersToMany` as the service. */
import type { Tx } from '../../platform/postgres/database.ts'
import { type FactType, factTypesOfNoJob, streamOf } from '../../schemas/events.generated.ts'
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

export type AuditType = (typeof factTypesOfNoJob)[number]
/** Streams that have such facts. */
export const auditStreams = ['directory', 'accounts', 'transfers'] as const satisfies readonly FactStream[]

/** Facts of one decision share a moment; `seq` tells them apart. */
export type AuditCursor = { occurredAt: EpochMicros; seq: bigint }
export type AuditPageWish = {
  type?: AuditType
  stream?: FactStream
  /** As facts name it: `owner`, `keeper`, `token:<id>`. */
  actor?: string
  /** Decided then or later. */
  from?: EpochMicros
  /** Decided before then. */
  to?: EpochMicros
  /** 1 to 1,000. */
  limit: number
  /** Last fact of the page before. */
  after?: AuditCursor
}

/**
 * Newest first. Facts that come meanwhile never shift a later page. Reads at most `limit` + 1 rows of each type,
 * however many the tenant has. Throws REQUEST_INVALID for a limit out of bounds.
 */
export async function auditPage(
  tx: Tx,
  tenantId: string,
  wish: AuditPageWish,
): Promise<{ items: AuditFact[]; next: AuditCursor | null }> {
  const limit = checkedLimit(wish.limit)
  const types = factTypesOfNoJob.filter(
    (type) => (wish.type ?? type) === type && (wish.stream ?? streamOf[type]) === streamOf[type],
  )
  // A page goes on before its cursor, the first one before `to`: with one bound above, the index is entered there.
  const end = wish.after ?? { occurredAt: wish.to ?? timeMax, seq: 0n }
  const { rows } = await tx.query<AuditRow>(pageSql(wish.actor !== undefined), [
    tenantId,
    types,
    String(wish.from ?? 0n),
    String(end.occurredAt),
    String(end.seq),
    limit + 1,
    ...(wish.actor === undefined ? [] : [wish.actor]),
  ])
  return pageOf(rows.map(fromRowAudit), limit, ({ occurredAt, seq }) => ({ occurredAt, seq }))
}

const timeMax = 2n ** 63n - 1n

/** The newest of each type by an index that begins with it, and of those the newest. */
const pageSql = (hasActor: boolean): string =>
  `SELECT f.* FROM unnest($2::text[]) AS w(type)
   CROSS JOIN LATERAL (SELECT * FROM audit_trail a
     WHERE a.tenant_id = $1 AND a.type = w.type ${hasActor ? 'AND a.actor = $7' : ''}
       AND a.occurred_at >= $3 AND (a.occurred_at, a.fact_seq) < ($4, $5)
     ORDER BY a.occurred_at DESC, a.fact_seq DESC LIMIT $6) f
   ORDER BY f.occurred_at DESC, f.fact_seq DESC LIMIT $6`

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
