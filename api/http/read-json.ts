/** Reads a JSON body from a stream, within bounds of size, depth and memory, and refuses what only looks like JSON. */
import type { IncomingMessage } from 'node:http'
import { PlatformError } from '../../platform/errors.ts'
import { whereOf } from './field-errors.ts'
import { type FieldError, invalid, Problem } from './problem.ts'

/** Bytes of bodies in memory at once, over all requests of a door. */
export type BodyBudget = { bytes: number; readonly bytesMax: number }

export const depthMax = 64
/** A body that is too large is still read this far: a client that is cut off in mid-sentence never sees the answer. */
const overreadBytesMax = 4 * 1024 * 1024
// Never meaningful to us, and dangerous to whatever merges objects later.
const forbiddenNames = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Throws Problem: UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_INVALID; PlatformError LOG_BUSY when bodies under way
 * fill the budget.
 */
export async function readJson(request: IncomingMessage, bytesMax: number, budget: BodyBudget): Promise<unknown> {
  checkHeaders(request)
  const text = decode(await readBytes(request, bytesMax, budget))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw wrong('body', 'It is not JSON.', 'One JSON value as RFC 8259 has it.', error)
  }
  checkValue(value, [])
  return value
}

export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined ||
  (headers['content-length'] !== undefined && headers['content-length'] !== '0')

function checkHeaders(request: IncomingMessage): void {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', {
      detail: 'Send the body with Content-Type: application/json.',
      headers: close,
    })
  }
  if (encoding.toLowerCase() !== 'identity') {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', { detail: 'Send the body without Content-Encoding.', headers: close })
  }
}

async function readBytes(request: IncomingMessage, bytesMax: number, budget: BodyBudget): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    // Ending the loop early must not destroy the connection that the answer goes out on.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const part = chunk as Buffer
      bytes += part.byteLength
      if (bytes > bytesMax + overreadBytesMax) break
      if (bytes > bytesMax) continue
      budget.bytes += part.byteLength
      chunks.push(part)
      if (budget.bytes > budget.bytesMax) throw new PlatformError('LOG_BUSY', { bodyBytes: budget.bytes })
    }
    if (bytes > bytesMax)
      throw new Problem('BODY_TOO_LARGE', {
        detail: `The body may have ${bytesMax} bytes.`,
        members: { bytesMax },
        headers: close,
      })
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof Problem || error instanceof PlatformError) throw error
    throw new Problem('REQUEST_INVALID', { detail: 'The body was cut off.', headers: close }, { cause: error })
  } finally {
    budget.bytes -= chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw wrong('body', 'It is not UTF-8.', 'UTF-8 text.', error)
  }
}

/** `path` is where `value` stands: grown and shrunk in place, because a large body has a great many places. */
function checkValue(value: unknown, path: (string | number)[]): void {
  if (typeof value !== 'object' || value === null) return
  if (path.length >= depthMax) {
    throw wrong(placeOf(path), `It is nested deeper than ${depthMax} levels.`, `At most ${depthMax} levels.`)
  }
  for (const [name, field] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    path.push(name)
    if (typeof name === 'string' && forbiddenNames.has(name)) {
      throw wrong(placeOf(path), 'Its name is not allowed.', 'Any other name.')
    }
    checkValue(field, path)
    path.pop()
  }
}

/** Enough to find it by. */
const placePartsMax = 10
const placeOf = (path: readonly PropertyKey[]): string => whereOf('body', path.slice(0, placePartsMax))

const close = { Connection: 'close' }

function wrong(where: string, problem: string, expected: string, cause?: unknown): Problem {
  const error: FieldError = { where, problem, expected, remedy: 'Correct the body.' }
  return Object.assign(invalid(error), { cause })
}
