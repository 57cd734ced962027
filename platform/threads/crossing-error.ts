/** Errors on their way to another thread: structured clones lose their class and what they carry besides a message. */
import { type Facts, type FailureCode, isFailure, PlatformError } from '../errors.ts'

export type CrossingError = {
  name: string
  message: string
  stack: string | undefined
  failure?: { code: FailureCode; facts: Facts }
  /** What libraries put beside the message: codes, names of tables. */
  fields: Record<string, string | number>
  cause?: CrossingError
}

const causesMax = 5

export function departing(error: unknown, causes = 0): CrossingError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: undefined, fields: {} }
  const { name, message, stack, cause } = error
  return {
    name,
    message,
    stack,
    ...(isFailure(error) && { failure: { code: error.code, facts: error.facts } }),
    fields: plainFieldsOf(error),
    ...(cause !== undefined && causes < causesMax && { cause: departing(cause, causes + 1) }),
  }
}

/** The same again, as far as it is known here: a PlatformError is one. */
export function arrived({ name, message, stack, failure, fields, cause }: CrossingError): Error {
  const options = cause && { cause: arrived(cause) }
  const error = failure
    ? new PlatformError(failure.code, failure.facts, options)
    : Object.assign(new Error(message, options), fields)
  error.name = name
  if (stack !== undefined) error.stack = stack
  return error
}

const plainFieldsOf = (error: Error): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(error).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'string' || typeof value === 'number' ? [[name, value]] : [],
    ),
  )
