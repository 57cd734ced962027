/** Waits for the owner's answer to a request that changes what is allowed: when the call returns, it is in force. */
import { type FailureCode, failures } from '../platform/errors.ts'
import { answeredTopic } from '../platform/relay/relay.ts'
import type { AuditFact } from '../projections/audit-trail/queries.ts'
import type { RequestRefusedRequestRefusal } from '../schemas/events.generated.ts'
import { awaitReadable } from './await-readable.ts'
import { Problem } from './http/problem.ts'
import type { Parts } from './parts.ts'
import { requestRefusal } from './refusals.ts'

/** Codes of a route that appends a request and waits for its answer. */
export const answerCodes = [
  'NOT_FOUND',
  'REQUEST_REFUSED',
  'ANSWER_PENDING',
  'LOG_UNAVAILABLE',
  'LOG_BUSY',
  'LOG_RECORD_TOO_LARGE',
] as const satisfies readonly FailureCode[]

/**
 * The facts the request led to; at least one. Throws ANSWER_PENDING (202) when they are not readable in time, though
 * the log has the request, and NOT_FOUND or REQUEST_REFUSED with the owner's reason when it said no.
 */
export async function awaitAnswer(
  { tenantId, requestId }: { tenantId: string; requestId: string },
  { relay, clock, views, answerWaitMs }: Pick<Parts, 'relay' | 'clock' | 'views' | 'answerWaitMs'>,
  signal: AbortSignal,
): Promise<AuditFact[]> {
  const facts = await awaitReadable(
    { relay, clock },
    {
      listen: (hear) => relay.listen(answeredTopic(tenantId, requestId), hear),
      look: () => views.answers({ tenantId, requestId }),
      isThere: (found) => found.length > 0,
      waitMs: answerWaitMs,
      signal,
    },
  )
  if (facts.length === 0)
    throw new Problem('ANSWER_PENDING', { detail: failures.ANSWER_PENDING.means, members: { requestId } })
  const refused = facts.find((fact) => fact.type === 'RequestRefused')
  if (refused) throw refusal(refused, requestId)
  return facts
}

const unknowns: readonly string[] = [
  'tenant_unknown',
  'parent_unknown',
  'token_unknown',
  'cap_unknown',
  'member_unknown',
] satisfies RequestRefusedRequestRefusal[]

function refusal({ body }: AuditFact, requestId: string): Problem {
  const reason = String(body['reason'])
  const members = { reason, subject: String(body['subject']), requestId }
  const meaning = requestRefusal(reason)
  return new Problem(unknowns.includes(reason) ? 'NOT_FOUND' : 'REQUEST_REFUSED', {
    detail: `The request was refused: ${reason}. ${meaning.problem}`,
    errors: [meaning],
    members,
  })
}
