/** Which codes of problems an operation may answer with, as far as they follow from its row of the table of routes. */
import type { FailureCode } from '../../platform/errors.ts'
import type { Route } from '../route.ts'

/** Each once. What the row cannot tell stands in its `codes`. */
export function codesOf({ roles, params, reach, body, isNeverTurnedAway, codes = [] }: Route): FailureCode[] {
  const isPublic = roles === 'public'
  const namesSomething = reach !== undefined || !params.safeParse({}).success
  return [
    ...new Set<FailureCode>([
      'REQUEST_INVALID',
      ...(isPublic ? [] : guarded),
      ...(isNeverTurnedAway ? [] : (['OVERLOADED'] as const)),
      ...(reach !== undefined && roles.includes('platform-admin') ? justified : []),
      ...(namesSomething ? (['NOT_FOUND'] as const) : []),
      ...(body ? read : []),
      ...codes,
      'REQUEST_TOO_SLOW',
      'HEAD_TOO_LARGE',
      'INTERNAL',
    ]),
  ]
}

const guarded = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'TOO_MANY_AT_ONCE',
  'TOO_MANY_FAILURES',
  'OVERLOADED',
  'NOT_READY',
  'DATABASE_UNAVAILABLE',
  'READ_TOO_LARGE',
] as const satisfies readonly FailureCode[]
/** A reason that cannot be put on record in time is LOG_UNAVAILABLE. */
const justified = ['JUSTIFICATION_REQUIRED', 'LOG_UNAVAILABLE', 'LOG_BUSY'] as const satisfies readonly FailureCode[]
/** More bodies than there is room for are LOG_BUSY. */
const read = ['UNSUPPORTED_MEDIA_TYPE', 'BODY_TOO_LARGE', 'LOG_BUSY'] as const satisfies readonly FailureCode[]
