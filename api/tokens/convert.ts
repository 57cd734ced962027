/** Tokens between the API and the rest. The token itself is in one answer only: that of the call which issued it. */
import { z } from 'zod'
import { type Token, tokenState } from '../../projections/token-list/queries.ts'
import { type EpochMicros, type EpochMs, isoFromMicros, microsFromMs } from '../../schemas/units.ts'
import { fromApiRole, roles, toApiRole } from '../auth/principal.ts'
import { id, next, optionalTime, time } from '../http/forms.ts'

export const tokenBody = z.strictObject({ role: z.enum(roles), memberId: id.optional(), expiresAt: time.optional() })
export type ApiTokenBody = z.infer<typeof tokenBody>

const role = z.enum([...roles, 'unknown'])
export const issuedReply = z.strictObject({
  id: z.string(),
  token: z.string(),
  tenantId: z.string(),
  role,
  memberId: z.string().nullable(),
  expiresAt: optionalTime,
})
const tokenReply = z.strictObject({
  id: z.string(),
  role,
  memberId: z.string().nullable(),
  state: z.enum(['active', 'expired', 'revoked']),
  issuedAt: time,
  issuedBy: z.string(),
  lastUsedAt: optionalTime,
  expiresAt: optionalTime,
  revokedAt: optionalTime,
})
export const tokensReply = z.strictObject({ tokens: z.array(tokenReply), next })

export const fromApiToken = ({ role, memberId, expiresAt }: ApiTokenBody) => ({
  role: fromApiRole(role),
  memberId: memberId ?? null,
  expiresAt: expiresAt === undefined ? null : microsFromMs(Date.parse(expiresAt)),
})

/** `lastUsed`: up to a minute behind; null when it was never used. */
export const toApiToken = (token: Token, now: EpochMicros, lastUsed: EpochMs | null): z.infer<typeof tokenReply> => ({
  id: token.tokenId,
  role: toApiRole(token.role),
  memberId: token.memberId,
  state: tokenState(token, now),
  issuedAt: isoFromMicros(token.issuedAt),
  issuedBy: token.issuedBy,
  lastUsedAt: lastUsed === null ? null : isoFromMicros(microsFromMs(lastUsed)),
  expiresAt: token.expiresAt === null ? null : isoFromMicros(token.expiresAt),
  revokedAt: token.revokedAt === null ? null : isoFromMicros(token.revokedAt),
})
