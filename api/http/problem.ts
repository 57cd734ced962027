/** What a caller is told when something is wrong: RFC 9457 problem details with a stable code from the one table. */
import { type FailureCode, failures, isFailure } from '../../platform/errors.ts'

/** One thing that is wrong with a request: where, what, what was expected, and what to do. */
export type FieldError = { where: string; problem: string; expected: string; remedy: string }

export type ProblemParts = {
  /** What is wrong this time, without internals. */
  detail?: string
  errors?: readonly FieldError[]
  /** Further members of the document, such as the reason of a refusal. */
  members?: Readonly<Record<string, string | number | boolean | null>>
  headers?: Readonly<Record<string, string>>
}

/** Thrown by handlers; becomes the answer as it stands. */
export class Problem extends Error {
  readonly code: FailureCode
  readonly parts: ProblemParts
  constructor(code: FailureCode, parts: ProblemParts = {}, options?: ErrorOptions) {
    super(parts.detail ?? failures[code].means, options)
    this.name = 'Problem'
    this.code = code
    this.parts = parts
  }
}

export const invalid = (...errors: readonly FieldError[]): Problem =>
  new Problem('REQUEST_INVALID', {
    detail: `${errors.length} ${errors.length === 1 ? 'field is' : 'fields are'} wrong.`,
    errors,
  })

/** Of a query with `from` and `to`. Throws REQUEST_INVALID when it ends before it begins. */
export function checkFromTo<Moment extends bigint | string>(from: Moment | undefined, to: Moment | undefined): void {
  if (from === undefined || to === undefined || from <= to) return
  throw invalid({
    where: 'query.to',
    problem: 'It is before `from`.',
    expected: 'The same as `from`, or later.',
    remedy: 'Exchange the two.',
  })
}

export const notFound = (what: string): Problem => new Problem('NOT_FOUND', { detail: `There is no such ${what}.` })

export type ProblemDocument = {
  type: string
  title: string
  status: number
  code: FailureCode
  /** Whether the same request may succeed later. */
  canRetry: boolean
  detail?: string
  /** This occurrence; the same id is in the header X-Request-Id and in the facts that the request led to. */
  instance: string
  errors?: readonly FieldError[]
  [member: string]: unknown
}

export type ProblemReply = { status: number; headers: Record<string, string>; document: ProblemDocument }

const retryAfterS = 1

/** Of codes whose meaning does not say how a caller came to them. */
const details: Partial<Record<FailureCode, string>> = {
  IDEMPOTENCY_CONFLICT:
    'Keys belong to the tenant, whichever of its tokens sends them, and the member a job is for counts as part of the body: the one of the token, or the one that a tenant admin names. Take a key of its own for every job; to repeat a submission, send it for the same member.',
}

/** Faults of PF-3 itself are told by their code alone: what went wrong inside is for the log. */
export function replyOf(error: unknown, correlationId: string): ProblemReply {
  const { code, parts } = known(error)
  const { httpStatus: status, canRetry, means } = failures[code]
  const { detail, errors, members, headers } = parts
  return {
    status,
    headers: {
      ...(status === 503 && { 'Retry-After': String(retryAfterS) }),
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer realm="pf3"' }),
      ...headers,
    },
    document: {
      ...members,
      type: `urn:pf3:problem:${code.toLowerCase().replaceAll('_', '-')}`,
      title: means,
      status,
      code,
      ...(detail !== undefined && { detail }),
      canRetry,
      instance: `urn:pf3:request:${correlationId}`,
      ...(errors !== undefined && errors.length > 0 && { errors }),
    },
  }
}

function known(error: unknown): { code: FailureCode; parts: ProblemParts } {
  if (error instanceof Problem) return error
  if (isFailure(error)) {
    const detail = details[error.code]
    return { code: error.code, parts: detail === undefined ? {} : { detail } }
  }
  return { code: 'INTERNAL', parts: {} }
}
