/** Lets a caller into the tenant its request names: within its reach, and one of the platform only with its reason on record. */
import { type Caller, recordAdminAct } from '../../producers/index.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { awaitAnswer } from '../await-answer.ts'
import { Problem } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { checkReach, type Reach } from './access.ts'
import type { Principal } from './principal.ts'

/** Names the header in which an admin of the platform says why it acts in somebody's tenant. */
export const justificationHeader = 'X-PF3-Justification'

/** What a request does, as it stands on record: the route's address, and the same with its ids. */
export type Act = { method: string; route: string; path: string }

export type Entrant = {
  who: Principal
  caller: Caller
  /** The header as the caller wrote it. */
  justification: string | undefined
  act: Act
  gone: AbortSignal
}

const justificationForm = /^[\x21-\x7e][\x20-\x7e]{8,498}[\x21-\x7e]$/

/**
 * Returns when the act may happen. Throws NOT_FOUND for a tenant that is not there or out of reach,
 * JUSTIFICATION_REQUIRED when an admin of the platform, of either role, gives no reason, and LOG_UNAVAILABLE when the reason could not be put
 * on record in time: then nothing was done, and asking again puts it on record again.
 */
export async function enterTenant(
  tenantId: string,
  reach: Reach,
  { who, caller, justification, act, gone }: Entrant,
  parts: Parts,
): Promise<void> {
  await checkReach(parts.database, who, tenantId, reach)
  if (who.tenantId !== platformTenantId || tenantId === who.tenantId) return
  if (justification === undefined || !justificationForm.test(justification)) {
    throw new Problem('JUSTIFICATION_REQUIRED', {
      detail: `Say why in the header ${justificationHeader}: 10 to 500 printable ASCII characters, kept seven years.`,
    })
  }
  const { requestId } = await recordAdminAct(parts.appender, caller, { tenantId, justification, ...act })
  try {
    await awaitAnswer({ tenantId, requestId }, parts, gone)
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'ANSWER_PENDING')) throw error
    throw new Problem('LOG_UNAVAILABLE', {
      detail: 'The justification was not on record in time, so nothing was done.',
    })
  }
}
