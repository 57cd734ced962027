/**
 * From a bearer token to whom it speaks for: a PF-3 token, or a JWT of the issuer. Nothing is remembered: a token that is
 * revoked no longer works at once.
 */
import { timingSafeEqual } from 'node:crypto'
import { isBearerToken } from '../../platform/bearer-token.ts'
import type { Clock } from '../../platform/clock.ts'
import type { TokenUse } from '../../platform/token-use/token-use.ts'
import { tokenHash } from '../../producers/index.ts'
import { tokenState } from '../../projections/token-list/queries.ts'
import { microsFromMs } from '../../schemas/units.ts'
import { Problem } from '../http/problem.ts'
import type { Views } from '../views.ts'
import { KeysUnavailableError } from './issuer-keys.ts'
import type { OidcVerifier } from './oidc.ts'
import { type Principal, type Role, rootPrincipal, toApiRole } from './principal.ts'

export type AuthenticateParts = {
  views: Pick<Views, 'token' | 'hasTenant' | 'isRemovedMember'>
  tokenUse: Pick<TokenUse, 'used'>
  clock: Clock
  /** SHA-256, in hex, of the token that acts as the platform's administrator; null when there is none. */
  rootTokenHash: string | null
  /** Null when no issuer is trusted. */
  oidc: OidcVerifier | null
}

const bearerForm = /^Bearer (.+)$/i
/** PF-3 tokens have no dots. */
const jwtForm = /^[\w-]+\.[\w-]+\.[\w-]*$/

const noToken = 'Send a token in the header Authorization: Bearer <token>.'
const notOurs = 'What follows Bearer has not the form of a token: one of PF-3 begins with pf3_, or it is a JWT.'

/** Throws UNAUTHENTICATED, without saying which of missing, unknown, expired or revoked it was; see `isUnchecked`. */
export async function authenticate(authorization: string | undefined, parts: AuthenticateParts): Promise<Principal> {
  const token = bearerForm.exec(authorization ?? '')?.[1]
  if (token === undefined || !isBearerToken(token))
    throw new Problem('UNAUTHENTICATED', { detail: /^Bearer ./i.test(authorization ?? '') ? notOurs : noToken })
  const secretHash = tokenHash(token)
  if (parts.rootTokenHash !== null && isSame(secretHash, parts.rootTokenHash)) return rootPrincipal
  if (parts.oidc && jwtForm.test(token)) return fromIssuer(token, parts.oidc, parts)
  const found = await parts.views.token(secretHash)
  const role = found && toApiRole(found.role)
  if (!found || role === undefined || role === 'unknown' || !isSame(secretHash, found.secretHash))
    throw new Problem('UNAUTHENTICATED', { detail })
  if (tokenState(found, microsFromMs(parts.clock.nowMs())) !== 'active')
    throw new Problem('UNAUTHENTICATED', { detail })
  parts.tokenUse.used(found)
  return { tenantId: found.tenantId, memberId: found.memberId, tokenId: found.tokenId, role }
}

/** Of what `authenticate` throws: whether nobody could say if the credential is good, so that it is none that has failed. */
export const isUnchecked = ({ cause }: Problem): boolean => cause instanceof KeysUnavailableError

async function fromIssuer(
  token: string,
  oidc: OidcVerifier,
  { views }: Pick<AuthenticateParts, 'views'>,
): Promise<Principal> {
  let who: Principal | undefined
  try {
    who = await oidc.verify(token)
  } catch (error) {
    if (!(error instanceof KeysUnavailableError)) throw new Problem('UNAUTHENTICATED', { detail })
    // Perhaps the token is good: the caller may ask again, and is told when the issuer will be asked again.
    const retryAfterS = Math.ceil(error.retryAfterMs / 1_000)
    throw new Problem('UNAUTHENTICATED', { detail, headers: { 'Retry-After': String(retryAfterS) } }, { cause: error })
  }
  if (!who || !(await isThere(who, views))) throw new Problem('UNAUTHENTICATED', { detail })
  return who
}

/** A PF-3 token ends with its member; of a JWT nobody is told, so its member is looked up. */
async function isThere({ tenantId, memberId }: Principal, views: AuthenticateParts['views']): Promise<boolean> {
  const [hasTenant, isRemoved] = await Promise.all([
    views.hasTenant(tenantId),
    memberId !== null && views.isRemovedMember({ tenantId, memberId }),
  ])
  return hasTenant && !isRemoved
}

const detail = 'The token is not known, has expired or was revoked.'

export function checkRole({ role }: Principal, allowed: readonly Role[]): void {
  if (allowed.includes(role)) return
  throw new Problem('FORBIDDEN', {
    detail: `A token of the role ${role} may not do this.`,
    members: { role, roles: allowed.join(', ') },
  })
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
