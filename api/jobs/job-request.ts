/** From the body of a request to the job that is submitted. */
import type { FailureCode } from '../../platform/errors.ts'
import { canonicalJson, type Json } from '../../pricing/index.ts'
import { type JobRequest, randomText, type SubmissionKey } from '../../producers/index.ts'
import { jobIdFrom, timedIdFrom } from '../../schemas/ids.ts'
import { type Pico, picoFromDecimal } from '../../schemas/units.ts'
import type { Principal } from '../auth/principal.ts'
import { type Quote, quotedFor, readQuote } from '../estimate/quote.ts'
import { invalid, Problem } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import type { ApiJobBody } from './convert.ts'
import { memberOf, readWork, type Work } from './read-work.ts'

type Needs = Pick<Parts, 'providers' | 'quoteKey' | 'clock' | 'views'>

/** Codes of a route that submits jobs. */
export const submissionCodes = [
  'IDEMPOTENCY_CONFLICT',
  'IDEMPOTENCY_EXPIRED',
  'QUOTE_EXPIRED',
  'VAULT_KEY_GONE',
  'LOG_UNAVAILABLE',
  'LOG_BUSY',
  'LOG_RECORD_TOO_LARGE',
] as const satisfies readonly FailureCode[]

/** The idempotency key of a request that has none: nobody else has it, so that no retry can find the job. */
export const ownKey = ({ clock, random }: Pick<Parts, 'clock' | 'random'>): string =>
  timedIdFrom('key', clock.nowMs(), randomText(random))

/** Throws REQUEST_INVALID, with places below `where`, FORBIDDEN and QUOTE_EXPIRED. */
export async function toJobRequest(
  body: ApiJobBody,
  who: Principal,
  idempotencyKey: string,
  parts: Needs,
  where = 'body',
): Promise<JobRequest> {
  const { tenantId } = who
  const work = readWork(body, parts, where)
  const memberId = memberOf(who, body.memberId)
  const quote = body.quote === undefined ? undefined : quoteFor(tenantId, work, body.quote, parts, where)
  if (quote) await checkExpiry(quote, { tenantId, idempotencyKey }, parts)
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
    quote: body.quote ?? null,
  }
  return {
    tenantId,
    idempotencyKey,
    jobId: jobIdFrom(tenantId, idempotencyKey, parts.clock.nowMs()),
    body: Buffer.from(canonicalJson(asked as Json)),
    payload: Buffer.from(JSON.stringify({ input, params })),
    memberId,
    capability: work.capability.name,
    resourceId: work.resourceId ?? null,
    model: body.model ?? null,
    priority,
    ...work.bounds,
    maxCharge: least(picoOf(body.maxCharge), quote?.maxCharge),
    deadlineMs: BigInt(deadlineMs),
  }
}

function quoteFor(tenantId: string, work: Work, text: string, { quoteKey }: Needs, where: string): Quote {
  const quote = readQuote(quoteKey, quotedFor(tenantId, work), text)
  if (quote) return quote
  throw invalid({
    where: `${where}.quote`,
    problem: 'It is not a quote for this work.',
    expected: 'The token of a quote of this tenant for the same capability, input, params and model.',
    remedy: 'Estimate the job as it is submitted, and use the quote of that answer.',
  })
}

/** A repeated request for a job that is there is answered with it, however late. */
async function checkExpiry({ expiresAtMs }: Quote, key: SubmissionKey, { clock, views }: Needs) {
  if (clock.nowMs() < expiresAtMs || (await views.isSubmitted(key))) return
  throw new Problem('QUOTE_EXPIRED')
}

const picoOf = (money: string | undefined): Pico | undefined =>
  money === undefined ? undefined : picoFromDecimal(money)

function least(...amounts: (Pico | undefined)[]): Pico | null {
  const given = amounts.filter((amount) => amount !== undefined)
  return given.length === 0 ? null : given.reduce((a, b) => (a < b ? a : b))
}
