/** Label sets of a tenant. Run as the tenant. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type LabelSet = {
  labelSetId: string
  /** Version in force: SHA-256, in hex, of the canonical content. */
  hash: string
  /** Where the payload vault keeps the content. */
  payloadRef: string
  payloadBytes: bigint
  labelCount: number
  exampleCount: number
  registeredAt: EpochMicros
  registeredBy: string
}

export async function labelSetById(tx: Tx, tenantId: string, labelSetId: string): Promise<LabelSet | undefined> {
  const { rows } = await tx.query<LabelSetRow>('SELECT * FROM label_set WHERE tenant_id = $1 AND label_set_id = $2', [
    tenantId,
    labelSetId,
  ])
  return rows[0] && fromRowLabelSet(rows[0])
}

/** In order of id. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function labelSetPage(
  tx: Tx,
  tenantId: string,
  wish: { limit: number; after?: string },
): Promise<{ items: LabelSet[]; next: string | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<LabelSetRow>(
    'SELECT * FROM label_set WHERE tenant_id = $1 AND ($2::text IS NULL OR label_set_id > $2) ORDER BY label_set_id LIMIT $3',
    [tenantId, wish.after ?? null, limit + 1],
  )
  return pageOf(rows.map(fromRowLabelSet), limit, (labelSet) => labelSet.labelSetId)
}

type LabelSetRow = {
  label_set_id: string
  hash: string
  payload_ref: string
  payload_bytes: SqlInteger
  label_count: number
  example_count: number
  registered_at: SqlInteger
  registered_by: string
}

const fromRowLabelSet = (row: LabelSetRow): LabelSet => ({
  labelSetId: row.label_set_id,
  hash: row.hash,
  payloadRef: row.payload_ref,
  payloadBytes: bigintFrom(row.payload_bytes),
  labelCount: row.label_count,
  exampleCount: row.example_count,
  registeredAt: bigintFrom(row.registered_at),
  registeredBy: row.registered_by,
})
