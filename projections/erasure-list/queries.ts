/** Erasures of a tenant, as the tenant; `openErasures` as the service. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, bigintOrNull, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type Erasure = {
  tenantId: string
  erasureId: string
  requestedAt: EpochMicros
  requestedBy: string
  /** Null until it is carried out, as the two figures. */
  erasedAt: EpochMicros | null
  keys: bigint | null
  payloads: bigint | null
}
export type ErasureCursor = { requestedAt: EpochMicros; erasureId: string }

export async function erasureById(
  tx: Tx,
  { tenantId, erasureId }: { tenantId: string; erasureId: string },
): Promise<Erasure | undefined> {
  const { rows } = await tx.query<ErasureRow>('SELECT * FROM erasure_list WHERE tenant_id = $1 AND erasure_id = $2', [
    tenantId,
    erasureId,
  ])
  return rows[0] && fromRowErasure(rows[0])
}

/** Newest first. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function erasurePage(
  tx: Tx,
  tenantId: string,
  wish: { limit: number; after?: ErasureCursor },
): Promise<{ items: Erasure[]; next: ErasureCursor | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<ErasureRow>(
    `SELECT * FROM erasure_list WHERE tenant_id = $1
       AND ($2::bigint IS NULL OR (requested_at, erasure_id) < ($2, $3::text))
     ORDER BY requested_at DESC, erasure_id DESC LIMIT $4`,
    [
      tenantId,
      wish.after === undefined ? null : String(wish.after.requestedAt),
      wish.after?.erasureId ?? null,
      limit + 1,
    ],
  )
  return pageOf(rows.map(fromRowErasure), limit, ({ requestedAt, erasureId }) => ({ requestedAt, erasureId }))
}

/** Those of all tenants that wait to be carried out, oldest first. */
export async function openErasures(tx: Tx, limit: number): Promise<{ tenantId: string; erasureId: string }[]> {
  const { rows } = await tx.query<ErasureRow>(
    'SELECT * FROM erasure_list WHERE erased_at IS NULL ORDER BY requested_at LIMIT $1',
    [checkedLimit(limit)],
  )
  return rows.map(fromRowErasure)
}

type ErasureRow = {
  tenant_id: string
  erasure_id: string
  requested_at: SqlInteger
  requested_by: string
  erased_at: SqlInteger | null
  keys: SqlInteger | null
  payloads: SqlInteger | null
}

const fromRowErasure = (row: ErasureRow): Erasure => ({
  tenantId: row.tenant_id,
  erasureId: row.erasure_id,
  requestedAt: bigintFrom(row.requested_at),
  requestedBy: row.requested_by,
  erasedAt: bigintOrNull(row.erased_at),
  keys: bigintOrNull(row.keys),
  payloads: bigintOrNull(row.payloads),
})
