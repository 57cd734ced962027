/** The facts of a job. Run as the tenant. */
import type { Tx } from '../../platform/postgres/database.ts'
import { type FactType, streamOf } from '../../schemas/events.generated.ts'
import type { AuditFact } from '../audit-fact.ts'

export type { AuditFact } from '../audit-fact.ts'

/** A job has some six per attempt. */
export const factsOfJobMax = 1_000

/** Every fact of a job after a seq, in order: what is behind a ledger line. At most 1,000. */
export async function factsOfJob(tx: Tx, tenantId: string, jobId: string, afterSeq = 0n): Promise<AuditFact[]> {
  const { rows } = await tx.query<{ caused_by: string; facts: string }>(
    'SELECT caused_by, facts FROM job_trail WHERE tenant_id = $1 AND job_id = $2 AND seq > $3',
    [tenantId, jobId, String(afterSeq)],
  )
  return rows
    .flatMap(({ caused_by, facts }) =>
      facts.split('\n').map((line) => fromLine({ tenantId, jobId, causedBy: caused_by }, line)),
    )
    .filter(({ seq }) => seq > afterSeq)
    .sort((a, b) => Number(a.seq - b.seq))
    .slice(0, factsOfJobMax)
}

/** As the projection writes it, behind the seq. */
type Line = [
  eventId: string,
  type: FactType,
  occurredAt: string,
  actor: string,
  correlationId: string,
  intakeOffset: string | null,
  traceparent: string | null,
  body: AuditFact['body'],
]

function fromLine(of: Pick<AuditFact, 'tenantId' | 'causedBy'> & { jobId: string }, line: string): AuditFact {
  const space = line.indexOf(' ')
  const [eventId, type, occurredAt, actor, correlationId, intakeOffset, traceparent, body] = JSON.parse(
    line.slice(space + 1),
  ) as Line
  return {
    ...of,
    seq: BigInt(line.slice(0, space)),
    eventId,
    type,
    stream: streamOf[type] as AuditFact['stream'],
    occurredAt: BigInt(occurredAt),
    actor,
    correlationId,
    intakeOffset: intakeOffset === null ? null : BigInt(intakeOffset),
    traceparent,
    body: { jobId: of.jobId, ...body },
  }
}
