/** How the caps of a tenant stand at this moment. */
import { type CapStanding, capStandings, type PeriodOf } from '../../projections/cap-standing/queries.ts'
import { type Tenant, tenantById } from '../../projections/tenant-tree/queries.ts'
import { type EpochMicros, microsFromMs } from '../../schemas/units.ts'
import { notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'

export type Standings = { at: EpochMicros; tenant: Tenant; standings: CapStanding[] }

/** As the views show them: admission, which has seen more, may already count more. */
export function standingsOf(tenantId: string, { database, clock, calendar }: Parts): Promise<Standings> {
  const at = microsFromMs(clock.nowMs())
  return database.asTenant(tenantId, async (tx) => {
    const tenant = await tenantById(tx, tenantId)
    if (!tenant) throw notFound('tenant')
    const periodOf: PeriodOf = (cap) => calendar.periodAt(cap, tenant.timeZone, at, cap.countsFrom)
    return { at, tenant, standings: await capStandings(tx, tenantId, periodOf) }
  })
}
