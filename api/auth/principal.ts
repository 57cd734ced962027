/** Who is asking, and what that allows. */
import { platformTenantId } from '../../schemas/streams.ts'

export const roles = ['platform_admin', 'tenant_admin', 'submitter', 'reader'] as const
export type Role = (typeof roles)[number]

/** Tenant and member always come from the token, never from the request. */
export type Principal = {
  tenantId: string
  /** Null when the token speaks for the tenant itself. */
  memberId: string | null
  tokenId: string
  role: Role
}

export const rootPrincipal: Principal = {
  tenantId: platformTenantId,
  memberId: null,
  tokenId: 'root',
  role: 'platform_admin',
}

export const actorOf = ({ tokenId }: Principal): string => `token:${tokenId}`
