/** From the body of a request to the job that is submitted. */
import { canonicalJson, type Json } from '../../pricing/index.ts'
import type { JobRequest } from '../../producers/index.ts'
import { picoFromDecimal } from '../../schemas/units.ts'
import type { Principal } from '../auth/principal.ts'
import type { Parts } from '../parts.ts'
import type { ApiJobBody } from './convert.ts'
import { memberOf, readWork } from './read-work.ts'

/** Throws REQUEST_INVALID, with places below `where`, and FORBIDDEN. */
export function toJobRequest(
  body: ApiJobBody,
  who: Principal,
  idempotencyKey: string,
  parts: Pick<Parts, 'providers'>,
  where = 'body',
): JobRequest & { idempotencyKey: string } {
  const work = readWork(body, parts, where)
  const memberId = memberOf(who, body.memberId)
  const { priority, deadlineMs } = body
  const { input, params } = work
  const asked = {
    capability: work.capability.name,
    input,
    params,
    memberId,
    priority,
    deadlineMs,
    model: body.model ?? null,
    maxCharge: body.maxCharge ?? null,
  }
  return {
    tenantId: who.tenantId,
    idempotencyKey,
    body: Buffer.from(canonicalJson(asked as Json)),
    payload: Buffer.from(JSON.stringify({ input, params })),
    memberId,
    capability: work.capability.name,
    resourceId: work.resourceId ?? null,
    model: body.model ?? null,
    priority,
    ...work.bounds,
    maxCharge: body.maxCharge === undefined ? null : (picoFromDecimal(body.maxCharge) ?? null),
    deadlineMs: BigInt(deadlineMs),
  }
}
