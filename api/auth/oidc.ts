/** Credentials from an OIDC issuer: from a signed JWT to whom it speaks for. */
import { createHash } from 'node:crypto'
import { type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../../platform/clock.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { id } from '../http/forms.ts'
import { type IssuerKeysOptions, issuerKeys } from './issuer-keys.ts'
import { type Principal, roles } from './principal.ts'

export type OidcOptions = IssuerKeysOptions & {
  /** One of the values of the claim `aud`. */
  audience: string
  /** Whether the issuer may name platform admins; whoever can write its claims then has every tenant. */
  allowsPlatformAdmin: boolean
}

export type OidcVerifier = {
  /**
   * Undefined for claims that name nobody here. Whether the tenant exists is not looked at. Throws KeysUnavailableError,
   * or what jose throws: either way the token is not good.
   */
  verify(token: string): Promise<Principal | undefined>
}

/** Asymmetric ones only: with a shared secret, whoever can check a token could also make one. */
export const algorithms = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
]
export const clockSkewS = 30
/** A JWT cannot be taken back here, so it must not live long: counted from `iat`. */
export const tokenAgeMaxS = 24 * 3_600

export function oidcVerifier(
  options: OidcOptions,
  parts: { clock: Clock; onFault(error: unknown): void },
): OidcVerifier {
  const keys = issuerKeys(options, parts)
  const { issuer, audience } = options
  return {
    async verify(token) {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockSkewS,
        maxTokenAge: tokenAgeMaxS,
        requiredClaims: ['exp', 'iat', 'sub'],
        currentDate: new Date(parts.clock.nowMs()),
      })
      return principalFrom(payload, options)
    },
  }
}

function principalFrom(claims: JWTPayload, { allowsPlatformAdmin }: OidcOptions): Principal | undefined {
  const { sub, pf3_tenant: tenantId, pf3_role: named, pf3_member: memberId = null } = claims
  const role = roles.find((known) => known === named)
  if (typeof sub !== 'string' || sub === '' || role === undefined) return undefined
  if (!id.safeParse(tenantId).success || typeof tenantId !== 'string') return undefined
  if (memberId !== null && (!id.safeParse(memberId).success || typeof memberId !== 'string')) return undefined
  if (role === 'platform-admin' && tenantId !== platformTenantId) return undefined
  // Everybody is below the platform: its tenant admins reach all tenants, too.
  const isAdmin = role === 'platform-admin' || role === 'tenant-admin'
  if (isAdmin && tenantId === platformTenantId && !allowsPlatformAdmin) return undefined
  return { tenantId, memberId, tokenId: subjectId(claims.iss ?? '', sub), role }
}

/**
 * What facts call the caller, for as long as facts are kept. A subject that is not a plain id may be an e-mail address
 * or a name, so only its hash stands there.
 */
export const subjectId = (issuer: string, sub: string): string =>
  /^[A-Za-z0-9._:|-]{1,100}$/.test(sub)
    ? `oidc:${sub}`
    : `oidc-hash:${createHash('sha256')
        .update(JSON.stringify([issuer, sub]))
        .digest('hex')}`
