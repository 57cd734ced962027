/** Who is asking, and what that allows. */
import type { TokenIssuedRole } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'

/** Roles as callers write them; in events, whose symbols cannot have hyphens, they are written with underscores. */
export const roles = ['platform-admin', 'tenant-admin', 'submitter', 'reader'] as const
export type Role = (typeof roles)[number]

const eventRoles = {
  'platform-admin': 'platform_admin',
  'tenant-admin': 'tenant_admin',
  submitter: 'submitter',
  reader: 'reader',
} as const satisfies Record<Role, TokenIssuedRole>

export const fromApiRole = (role: Role): TokenIssuedRole => eventRoles[role]

/** `unknown`: a role this build has no word for, which allows nothing. */
export const toApiRole = (role: TokenIssuedRole): Role | 'unknown' =>
  roles.find((known) => eventRoles[known] === role) ?? 'unknown'

/** Tenant and member always come from the token, never from the request. */
export type Principal = {
  tenantId: string
  /** Null when the token speaks for the tenant itself. */
  memberId: string | null
  /** Of a PF-3 token its id; of an issuer's the subject, as `oidc:<subject>`. */
  tokenId: string
  role: Role
}

export const rootPrincipal: Principal = {
  tenantId: platformTenantId,
  memberId: null,
  tokenId: 'root',
  role: 'platform-admin',
}

export const actorOf = ({ tokenId }: Principal): string => `token:${tokenId}`
