/** One text for one JSON value, so that its hash can be its identity. */
import { createHash } from 'node:crypto'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

const depthMax = 64

/**
 * Keys sorted by UTF-16 code units, no spaces, numbers and strings as JSON.stringify writes them.
 * Throws RangeError for a number that is not finite and for nesting deeper than 64: neither has a text to agree on.
 */
export function canonicalJson(value: Json): string {
  return write(value, depthMax)
}

function write(value: Json, depthLeft: number): string {
  if (depthLeft === 0) throw new RangeError(`JSON nested deeper than ${depthMax}`)
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new RangeError('JSON has no number that is not finite')
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isList(value)) return `[${value.map((item) => write(item, depthLeft - 1)).join(',')}]`
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${write(field, depthLeft - 1)}`).join(',')}}`
}

// Array.isArray does not narrow a readonly array out of a union.
const isList = (value: Json): value is readonly Json[] => Array.isArray(value)

/** SHA-256 of the text's UTF-8 bytes, in hex. */
export const hashOf = (canonical: string): string => createHash('sha256').update(canonical, 'utf8').digest('hex')
