/** What went wrong in a call, in PF-3's closed list of codes. */
import type { CallFailureCode, CallOutcome } from '../../capabilities/index.ts'
import { AnswerTooLongError } from './bounded-fetch.ts'

/** The longest wait a provider is believed. */
export const retryAfterMsMax = 3_600_000

/** `isTimeout` says whether the SDK's own timeout ended the call: only who has loaded the SDK knows its classes. */
export function failureOf(error: unknown, isTimeout: boolean): CallOutcome {
  if (isTimeout) return { ok: false, code: 'PROVIDER_TIMEOUT' }
  const status = fieldOf(error, 'status')
  if (typeof status === 'number') return { ok: false, code: codeOfStatus(status), ...retryAfter(error) }
  const isAnswer = chain(error).some((cause) => cause instanceof SyntaxError || cause instanceof AnswerTooLongError)
  return { ok: false, code: isAnswer ? 'PROVIDER_MALFORMED' : 'PROVIDER_UNAVAILABLE' }
}

/**
 * Only what the input is to blame for is rejected for good. A refused key, an empty account or a model that is not there are
 * the provider's state: another attempt, or the next step of the route, can succeed. So is a redirect, which is never followed.
 */
function codeOfStatus(status: number): CallFailureCode {
  if (status === 429) return 'PROVIDER_RATE_LIMITED'
  if (status === 408 || status === 504) return 'PROVIDER_TIMEOUT'
  const isOurs = status >= 400 && status < 500 && ![401, 402, 403, 404, 405, 409, 423, 425].includes(status)
  return isOurs ? 'PROVIDER_REJECTED' : 'PROVIDER_UNAVAILABLE'
}

/** The wait the provider asks for: retry-after-ms as OpenAI has it, or Retry-After in seconds or as a date. */
function retryAfter(error: unknown): { retryAfterMs?: number } {
  const headers = fieldOf(error, 'headers')
  if (!(headers instanceof Headers)) return {}
  const asked = headers.get('retry-after')?.trim() ?? ''
  // The provider's date counts from the provider's clock, which its answer tells.
  const sinceMs = Date.parse(headers.get('date') ?? '')
  const waits = [
    numberOf(headers.get('retry-after-ms') ?? ''),
    numberOf(asked) * 1_000,
    Date.parse(/[a-z]/i.test(asked) ? asked : '') - sinceMs,
  ]
  const wait = waits.find((ms) => Number.isFinite(ms))
  return wait === undefined ? {} : { retryAfterMs: Math.min(retryAfterMsMax, Math.max(0, Math.ceil(wait))) }
}

const numberOf = (text: string): number => (/^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN)

const causesMax = 5

function chain(error: unknown): unknown[] {
  const found: unknown[] = []
  for (let cause = error; cause !== undefined && found.length < causesMax; cause = fieldOf(cause, 'cause'))
    found.push(cause)
  return found
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
