/** The one error class and the one closed table of codes; docs/reference/errors.md is tested against it. */

type Failure = { httpStatus: number; canRetry: boolean; means: string }

export const failures = {
  // Asked wrongly.
  REQUEST_INVALID: { httpStatus: 400, canRetry: false, means: 'The request does not have the documented form.' },
  IDEMPOTENCY_CONFLICT: { httpStatus: 409, canRetry: false, means: 'This idempotency key was used with another body.' },
  IDEMPOTENCY_EXPIRED: { httpStatus: 409, canRetry: false, means: 'This idempotency key is too old to be used again.' },
  UNAUTHENTICATED: { httpStatus: 401, canRetry: false, means: 'No valid credential was given.' },
  FORBIDDEN: { httpStatus: 403, canRetry: false, means: 'The credential does not allow this.' },
  JUSTIFICATION_REQUIRED: {
    httpStatus: 403,
    canRetry: false,
    means: 'A platform admin acts in a tenant only with a justification, in the header X-PF3-Justification.',
  },
  NOT_FOUND: { httpStatus: 404, canRetry: false, means: 'There is no such thing, or not for this credential.' },
  METHOD_NOT_ALLOWED: { httpStatus: 405, canRetry: false, means: 'The address exists, but not with this method.' },
  UNSUPPORTED_MEDIA_TYPE: { httpStatus: 415, canRetry: false, means: 'The body must be application/json.' },
  HEAD_TOO_LARGE: { httpStatus: 431, canRetry: false, means: 'The head of the request is larger than allowed.' },
  REQUEST_TOO_SLOW: { httpStatus: 408, canRetry: true, means: 'The request did not come in whole in the time it has.' },
  BODY_TOO_LARGE: { httpStatus: 413, canRetry: false, means: 'The body is larger than allowed.' },
  QUOTE_EXPIRED: {
    httpStatus: 409,
    canRetry: false,
    means: 'The quote has expired; estimate the job again for another.',
  },
  REQUEST_REFUSED: {
    httpStatus: 409,
    canRetry: false,
    means: 'The request was understood and refused; nothing changed.',
  },
  READ_TOO_LARGE: {
    httpStatus: 422,
    canRetry: false,
    means:
      'To find the answer takes the database longer than a request may: ask for a shorter period, or for less at once.',
  },
  RATE_LIMITED: { httpStatus: 429, canRetry: true, means: 'This tenant has asked too much in a short time.' },
  TOO_MANY_AT_ONCE: { httpStatus: 429, canRetry: true, means: 'Too many requests of this tenant are under way.' },
  TOO_MANY_FAILURES: {
    httpStatus: 429,
    canRetry: true,
    means: 'Too many credentials from this address were not valid.',
  },
  OVERLOADED: {
    httpStatus: 503,
    canRetry: true,
    means: 'More is asked of the service than it can do; nothing was done.',
  },
  // The machine.
  LOG_UNAVAILABLE: { httpStatus: 503, canRetry: true, means: 'The log did not confirm the write in time.' },
  LOG_BUSY: { httpStatus: 503, canRetry: true, means: 'Too much is waiting to be written; try again shortly.' },
  LOG_FENCED: { httpStatus: 503, canRetry: true, means: 'Another owner has taken this partition.' },
  LOG_COMMIT_UNKNOWN: {
    httpStatus: 503,
    canRetry: true,
    means: 'Nobody knows whether the commit happened; acquire the partition again to learn it.',
  },
  LOG_RECORD_TOO_LARGE: { httpStatus: 413, canRetry: false, means: 'A record is larger than the log takes.' },
  LOG_GAP: {
    httpStatus: 500,
    canRetry: false,
    means: 'The log is not what was committed: a sequence number or offset is missing.',
  },
  LOG_PARTITIONS_FIXED: {
    httpStatus: 500,
    canRetry: false,
    means: 'The log was created with another number of partitions, which cannot change.',
  },
  SCHEMA_UNKNOWN: { httpStatus: 500, canRetry: false, means: 'A record names a schema this build does not know.' },
  REGISTRY_UNAVAILABLE: {
    httpStatus: 503,
    canRetry: true,
    means: 'The schema registry does not answer, and a schema is needed that was not met before.',
  },
  SCHEMA_INCOMPATIBLE: {
    httpStatus: 500,
    canRetry: false,
    means: 'A schema was changed in a way old or new readers cannot follow.',
  },
  RECORD_DAMAGED: { httpStatus: 500, canRetry: false, means: 'A record cannot be read.' },
  DATABASE_UNAVAILABLE: { httpStatus: 503, canRetry: true, means: 'The database does not answer.' },
  DATA_DIR_LOCKED: {
    httpStatus: 503,
    canRetry: false,
    means:
      'Another pf3 process has this data directory open, a service or a command; this one can start when it has ended.',
  },
  MIGRATION_CHANGED: {
    httpStatus: 500,
    canRetry: false,
    means: 'A recorded schema change is not the one this build carries.',
  },
  ARCHIVE_UNAVAILABLE: {
    httpStatus: 503,
    canRetry: true,
    means: 'The place of the archive cannot be read or written.',
  },
  ARCHIVE_DAMAGED: { httpStatus: 500, canRetry: false, means: 'The archive is not what was signed.' },
  VAULT_MISSING: { httpStatus: 410, canRetry: false, means: 'The content is no longer kept.' },
  VAULT_KEY_GONE: {
    httpStatus: 503,
    canRetry: true,
    means: 'The content of this tenant was erased this moment; try again.',
  },
  VAULT_DAMAGED: { httpStatus: 500, canRetry: false, means: 'Stored content does not match its seal.' },
  ANSWER_PENDING: { httpStatus: 202, canRetry: true, means: 'The request is in the log; its answer is not out yet.' },
  NOT_READY: { httpStatus: 503, canRetry: true, means: 'The service is starting or stopping.' },
  INTERNAL: { httpStatus: 500, canRetry: false, means: 'A fault of PF-3 itself.' },
  // Providers; these also stand in AttemptFailed and JobFailed.
  PROVIDER_TIMEOUT: { httpStatus: 504, canRetry: true, means: 'The provider did not answer in time.' },
  PROVIDER_UNAVAILABLE: { httpStatus: 502, canRetry: true, means: 'The provider could not be reached or failed.' },
  PROVIDER_RATE_LIMITED: { httpStatus: 503, canRetry: true, means: 'The provider asked to slow down.' },
  PROVIDER_REJECTED: { httpStatus: 422, canRetry: false, means: 'The provider refused the input.' },
  PROVIDER_MALFORMED: {
    httpStatus: 502,
    canRetry: true,
    means: 'The provider answered with something that is not an answer.',
  },
  INPUT_UNREADABLE: {
    httpStatus: 422,
    canRetry: false,
    means: 'The stored input is no longer there or does not fit the capability.',
  },
  OUTCOME_UNKNOWN: {
    httpStatus: 502,
    canRetry: true,
    means: 'The owner died during the call; whether the provider did the work is not known.',
  },
  DEADLINE_PASSED: { httpStatus: 504, canRetry: false, means: 'The job did not end before its deadline.' },
  CANCELLED: { httpStatus: 409, canRetry: false, means: 'The caller asked to give the job up.' },
} as const satisfies Record<string, Failure>

export type FailureCode = keyof typeof failures
export type Facts = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>

export class PlatformError extends Error {
  readonly code: FailureCode
  readonly facts: Facts
  constructor(code: FailureCode, facts: Facts = {}, options?: ErrorOptions) {
    super(`${code}: ${failures[code].means}${describe(facts)}`, options)
    this.name = 'PlatformError'
    this.code = code
    this.facts = facts
  }
  get canRetry(): boolean {
    return failures[this.code].canRetry // Derived from the code, so the two cannot disagree.
  }
}

export const isFailure = (error: unknown, ...codes: readonly FailureCode[]): error is PlatformError =>
  error instanceof PlatformError && (codes.length === 0 || codes.includes(error.code))

function describe(facts: Facts): string {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined)
  return known.length === 0 ? '' : ` (${known.map(([name, value]) => `${name}: ${value}`).join(', ')})`
}
