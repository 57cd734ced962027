/**
 * What may be told of an error: its class, codes, where in the code it arose, and numbers. Never its message: parsers,
 * databases and providers quote in it what they were given.
 */
import { isFailure } from '../errors.ts'

export type DescribedError = {
  type: string
  code?: string
  facts?: Record<string, string | number | boolean>
  /** Of the database: what it was about, by names of the schema. */
  table?: string
  constraint?: string
  /** Innermost first. */
  at?: string[]
  cause?: DescribedError
}

const causesMax = 3
const framesMax = 12
const root = new URL('../../', import.meta.url).pathname
/** Texts among the facts of a PlatformError that are names of ours. */
const namedFacts = ['stream', 'projection', 'waitingFor', 'during', 'fact']

/** Never throws, whatever was thrown. */
export function describeError(error: unknown, depth = 0): DescribedError {
  try {
    return described(error, depth)
  } catch {
    return { type: 'unreadable' }
  }
}

function described(error: unknown, depth: number): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, stack, cause } = error
  const fields = error as { code?: unknown; table?: unknown; constraint?: unknown }
  const code = fitting(fields.code, /^[A-Z0-9_]{2,40}$/)
  const table = fitting(fields.table, schemaName)
  const constraint = fitting(fields.constraint, schemaName)
  const at = framesOf(stack, error.message)
  return {
    type: fitting(name, /^[A-Za-z]{1,60}$/) ?? 'Error',
    ...(code !== undefined && { code }),
    ...(isFailure(error) && { facts: plainFacts(error.facts) }),
    ...(table !== undefined && { table }),
    ...(constraint !== undefined && { constraint }),
    ...(at.length > 0 && { at }),
    ...(cause !== undefined && depth < causesMax && { cause: describeError(cause, depth + 1) }),
  }
}

const schemaName = /^[a-z][a-z0-9_]{0,62}$/

const fitting = (value: unknown, form: RegExp): string | undefined =>
  typeof value === 'string' && form.test(value) ? value : undefined

/** Numbers and truths of any name; texts only where they are names of ours. */
function plainFacts(facts: Readonly<Record<string, unknown>>): Record<string, string | number | boolean> {
  const plain: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'number' || typeof value === 'boolean') plain[name] = value
    else if (typeof value === 'bigint') plain[name] = value.toString()
    else if (namedFacts.includes(name) && /^[A-Za-z][A-Za-z _-]{0,60}$/.test(String(value))) plain[name] = String(value)
  }
  return plain
}

/** Places in our code, its packages and the runtime, and nothing else: a message can look like a frame. */
function framesOf(stack: unknown, message: string): string[] {
  if (typeof stack !== 'string') return []
  const frames = stack.replace(message, '').split('\n')
  return frames
    .flatMap((line) => /^ {4}at (?:.* )?\(?((?:file:\/\/)?(?:node:|\/)[\w@+./%-]+:\d+:\d+)\)?$/.exec(line)?.[1] ?? [])
    .map((place) => place.replace('file://', ''))
    .filter((place) => place.startsWith(root) || place.startsWith('node:'))
    .map((place) => place.replace(root, ''))
    .slice(0, framesMax)
}
