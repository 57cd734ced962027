/** Which tokens are there, and whose are they? One row per token; a revoked one stays. */
import { bigint, nullable, projection, sqlFile, text } from '../projection.ts'

export const tokenList = projection({
  name: 'token-list',
  version: 1,
  table: 'token_list',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'token_id'],
  columns: {
    tenant_id: text,
    token_id: text,
    secret_hash: text,
    role: text,
    member_id: nullable(text),
    issued_at: bigint,
    issued_by: text,
    expires_at: nullable(bigint),
    revoked_at: nullable(bigint),
    revoked_by: nullable(text),
  },
  apply(fact) {
    switch (fact.type) {
      case 'TokenIssued':
        return [
          {
            op: 'insert',
            key: { tenant_id: fact.tenantId, token_id: fact.tokenId },
            values: {
              secret_hash: fact.secretHash,
              role: fact.role,
              member_id: fact.memberId,
              issued_at: fact.occurredAt,
              issued_by: fact.actor,
              expires_at: fact.expiresAt,
            },
          },
        ]
      case 'TokenRevoked':
        return [
          {
            op: 'set',
            key: { tenant_id: fact.tenantId, token_id: fact.tokenId },
            values: { revoked_at: fact.occurredAt, revoked_by: fact.actor },
          },
        ]
      default:
        return []
    }
  },
})
