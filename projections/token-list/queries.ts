/** Tokens: by hash for authentication, as the service because the tenant is not known yet; per tenant as the tenant. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { TokenIssuedRole } from '../../schemas/events.generated.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, bigintOrNull, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type Token = {
  tenantId: string
  tokenId: string
  /** SHA-256, in hex, of the token. */
  secretHash: string
  role: TokenIssuedRole
  /** Null for the tenant itself. */
  memberId: string | null
  issuedAt: EpochMicros
  issuedBy: string
  expiresAt: EpochMicros | null
  revokedAt: EpochMicros | null
}

export type TokenState = 'active' | 'expired' | 'revoked'

export function tokenState(token: Token, now: EpochMicros): TokenState {
  if (token.revokedAt !== null) return 'revoked'
  return token.expiresAt !== null && token.expiresAt <= now ? 'expired' : 'active'
}

/**
 * One answer per hash, in order; undefined where no token has it, and where several have: then it identifies nobody.
 * Revoked and expired tokens are found too; ask `tokenState`. One statement, whatever the number.
 */
export async function tokensByHash(tx: Tx, secretHashes: readonly string[]): Promise<(Token | undefined)[]> {
  const { rows } = await tx.query<TokenRow>('SELECT * FROM token_list WHERE secret_hash = ANY ($1::text[])', [
    secretHashes,
  ])
  const byHash = Map.groupBy(rows.map(fromRowToken), (token) => token.secretHash)
  return secretHashes.map((hash) => {
    const found = byHash.get(hash) ?? []
    return found.length === 1 ? found[0] : undefined
  })
}

export async function tokenById(tx: Tx, tenantId: string, tokenId: string): Promise<Token | undefined> {
  const { rows } = await tx.query<TokenRow>('SELECT * FROM token_list WHERE tenant_id = $1 AND token_id = $2', [
    tenantId,
    tokenId,
  ])
  return rows[0] && fromRowToken(rows[0])
}

/** In order of id. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function tokenPage(
  tx: Tx,
  tenantId: string,
  wish: { limit: number; after?: string },
): Promise<{ items: Token[]; next: string | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<TokenRow>(
    'SELECT * FROM token_list WHERE tenant_id = $1 AND ($2::text IS NULL OR token_id > $2) ORDER BY token_id LIMIT $3',
    [tenantId, wish.after ?? null, limit + 1],
  )
  return pageOf(rows.map(fromRowToken), limit, (token) => token.tokenId)
}

type TokenRow = {
  tenant_id: string
  token_id: string
  secret_hash: string
  role: TokenIssuedRole
  member_id: string | null
  issued_at: SqlInteger
  issued_by: string
  expires_at: SqlInteger | null
  revoked_at: SqlInteger | null
}

const fromRowToken = (row: TokenRow): Token => ({
  tenantId: row.tenant_id,
  tokenId: row.token_id,
  secretHash: row.secret_hash,
  role: row.role,
  memberId: row.member_id,
  issuedAt: bigintFrom(row.issued_at),
  issuedBy: row.issued_by,
  expiresAt: bigintOrNull(row.expires_at),
  revokedAt: bigintOrNull(row.revoked_at),
})
