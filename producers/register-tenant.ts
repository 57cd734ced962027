/** Asks the platform to open a tenant below another. */
import type { Random } from '../platform/clock.ts'
import type { RegisterTenantBody } from '../schemas/events.generated.ts'
import { idFrom } from '../schemas/ids.ts'
import { platformTenantId } from '../schemas/streams.ts'
import { type Appended, type Caller, type RequestAppender, randomText } from './append-request.ts'

export type TenantRequest = Omit<RegisterTenantBody, 'type' | 'registeredTenantId'> & {
  /** Id of the new tenant; made here when not given. */
  registeredTenantId?: string
}

/** The platform answers, so the answer is found under the platform's tenant id. An id that is taken is refused. */
export async function registerTenant(
  appender: RequestAppender,
  random: Random,
  caller: Caller,
  tenant: TenantRequest,
): Promise<Appended & { registeredTenantId: string }> {
  const registeredTenantId = tenant.registeredTenantId ?? idFrom('ten', randomText(random))
  const appended = await appender.append(caller, {
    type: 'RegisterTenant',
    tenantId: platformTenantId,
    ...tenant,
    registeredTenantId,
  })
  return { ...appended, registeredTenantId }
}
