/** Tenants between the API and the rest. */
import { z } from 'zod'
import type { Tenant } from '../../projections/tenant-tree/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { currency, id, name, next, time } from '../http/forms.ts'

export const tenantBody = z.strictObject({
  id: id.optional(),
  level: z
    .enum(['partner', 'client', 'merchant'])
    .describe(
      'Deeper than that of the parent: below the platform any, below a partner client or merchant, below a client merchant, below a merchant none.',
    ),
  parentId: id.optional(),
  name,
  currency,
  timeZone: z.string().max(100),
})
export type ApiTenantBody = z.infer<typeof tenantBody>

export const tenantReply = z.strictObject({
  id: z.string(),
  parentId: z.string(),
  level: z.enum(['platform', 'partner', 'client', 'merchant', 'unknown']),
  name: z.string(),
  currency: z.string(),
  timeZone: z.string(),
  registeredAt: time,
})
export const tenantsReply = z.strictObject({ tenants: z.array(tenantReply), next })

export const toApiTenant = (tenant: Tenant): z.infer<typeof tenantReply> => ({
  id: tenant.tenantId,
  parentId: tenant.parentId,
  level: tenant.level,
  name: tenant.name,
  currency: tenant.currency,
  timeZone: tenant.timeZone,
  registeredAt: isoFromMicros(tenant.registeredAt),
})
