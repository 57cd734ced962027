/** Which tenant a path may name. */
import type { Database } from '../../platform/postgres/database.ts'
import { isAncestor, tenantById } from '../../projections/tenant-tree/queries.ts'
import { notFound } from '../http/problem.ts'
import type { Principal } from './principal.ts'

/**
 * `own`: the caller's own tenant, for what shows its rows. `subtree`: for a tenant admin also its descendants, for what
 * may be done to them without looking at what they do. A platform admin may name any tenant in either.
 */
export type Reach = 'own' | 'subtree'

/** Throws NOT_FOUND alike for a tenant that does not exist and for one that is out of reach. */
export async function checkReach(database: Database, who: Principal, tenantId: string, reach: Reach): Promise<void> {
  if (tenantId === who.tenantId) return
  const isReached =
    who.role === 'platform-admin'
      ? (await database.asService((tx) => tenantById(tx, tenantId))) !== undefined
      : reach === 'subtree' &&
        who.role === 'tenant-admin' &&
        (await database.asService((tx) => isAncestor(tx, who.tenantId, tenantId)))
  if (!isReached) throw notFound('tenant')
}
