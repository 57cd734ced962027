/** Members of a tenant, as the tenant; `areRemoved` as the service, for credentials of many tenants at once. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { MemberAddedMemberKind } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type Member = {
  memberId: string
  kind: MemberAddedMemberKind
  /** When it was added, or became of this kind. */
  addedAt: EpochMicros
  addedBy: string
}

export type MemberKey = { tenantId: string; memberId: string }

/** Undefined for one that is not there, or was removed. */
export async function memberById(tx: Tx, { tenantId, memberId }: MemberKey): Promise<Member | undefined> {
  const { rows } = await tx.query<MemberRow>(
    'SELECT * FROM member_list WHERE tenant_id = $1 AND member_id = $2 AND removed_at IS NULL',
    [tenantId, memberId],
  )
  return rows[0] && fromRowMember(rows[0])
}

/** Members that were not removed, in order of id. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function memberPage(
  tx: Tx,
  tenantId: string,
  wish: { limit: number; after?: string },
): Promise<{ items: Member[]; next: string | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<MemberRow>(
    `SELECT * FROM member_list WHERE tenant_id = $1 AND removed_at IS NULL AND ($2::text IS NULL OR member_id > $2)
     ORDER BY member_id LIMIT $3`,
    [tenantId, wish.after ?? null, limit + 1],
  )
  return pageOf(rows.map(fromRowMember), limit, (member) => member.memberId)
}

/** For each key whether that member was removed, in order. One statement, whatever the number. */
export async function areRemoved(tx: Tx, keys: readonly MemberKey[]): Promise<boolean[]> {
  const { rows } = await tx.query<{ asked: SqlInteger }>(
    `SELECT w.asked FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(tenant_id, member_id, asked)
     JOIN member_list m ON m.tenant_id = w.tenant_id AND m.member_id = w.member_id WHERE m.removed_at IS NOT NULL`,
    [keys.map((key) => key.tenantId), keys.map((key) => key.memberId)],
  )
  const removed = new Set(rows.map((row) => Number(row.asked)))
  return keys.map((_, index) => removed.has(index + 1))
}

type MemberRow = { member_id: string; kind: MemberAddedMemberKind; added_at: SqlInteger; added_by: string }

const fromRowMember = (row: MemberRow): Member => ({
  memberId: row.member_id,
  kind: row.kind,
  addedAt: bigintFrom(row.added_at),
  addedBy: row.added_by,
})
