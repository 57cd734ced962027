/** Reads a JSON body from a stream, within bounds of size, values, depth and memory, and refuses what only looks like JSON. */
import type { IncomingMessage } from 'node:http'
import { type Clock, within } from '../../platform/clock.ts'
import { whereOf } from './field-errors.ts'
import { jsonValueCounter } from './json-values.ts'
import { type FieldError, invalid, Problem } from './problem.ts'

/** Bytes of bodies in memory at once, over all requests of a door. */
export type BodyBudget = { bytes: number; readonly bytesMax: number }

export type BodyBounds = { bytesMax: number; valuesMax: number }

/** What bodies share, and how long they are waited for. */
export type BodyDoor = {
  budget: BodyBudget
  clock: Clock
  /** How much longer a body may take than one that comes in at `bytesPerMsMin`, in milliseconds. */
  behindMsMax: number
}

export const depthMax = 64
/** What is read and dropped of a body after it is refused: a client that is cut off in mid-sentence never sees the answer. */
const overreadBytesMax = 4 * 1024 * 1024
/** Slower than any line that is in use; a caller who keeps to it costs no more than it sends. */
const bytesPerMsMin = 1
// Never meaningful to us, and dangerous to whatever merges objects later.
const forbiddenNames = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Throws Problem: UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_INVALID, REQUEST_TOO_SLOW, and LOG_BUSY when bodies
 * under way fill the budget. What is beyond a bound is refused while it comes in, and never parsed.
 */
export async function readJson(request: IncomingMessage, bounds: BodyBounds, door: BodyDoor): Promise<unknown> {
  checkHeaders(request)
  const chunks: Buffer[] = []
  try {
    await readInto(chunks, request, bounds, door)
    return parsed(decode(Buffer.concat(chunks)))
  } finally {
    letGo(chunks, door.budget)
  }
}

function parsed(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw wrong('body', 'It is not JSON.', 'One JSON value as RFC 8259 has it.', error)
  }
  const fieldCount = checkValue(value, [])
  if (fieldCount !== namesIn(text)) throw twice(text)
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

async function readInto(chunks: Buffer[], request: IncomingMessage, bounds: BodyBounds, door: BodyDoor): Promise<void> {
  const { budget } = door
  const refusalOf = checker(bounds, budget)
  let refusal: Problem | undefined
  let overreadBytes = 0
  for await (const part of partsInTime(request, door)) {
    if (refusal) {
      overreadBytes += part.byteLength
      if (overreadBytes > overreadBytesMax) break
      continue
    }
    budget.bytes += part.byteLength
    chunks.push(part)
    refusal = refusalOf(part)
    if (refusal) letGo(chunks, budget)
  }
  if (refusal) throw refusal
}

/**
 * The parts of a body as they come. Throws REQUEST_TOO_SLOW as soon as they are too far behind, and REQUEST_INVALID when
 * they end too early.
 */
async function* partsInTime(request: IncomingMessage, { clock, behindMsMax }: BodyDoor): AsyncGenerator<Buffer> {
  const sinceMs = clock.nowMs()
  let bytes = 0
  // Ending it early must not destroy the connection that the answer goes out on.
  const parts = request.iterator({ destroyOnReturn: false })
  try {
    for (;;) {
      const leftMs = sinceMs + behindMsMax + bytes / bytesPerMsMin - clock.nowMs()
      const next = await within(clock, parts.next(), leftMs, tooSlow).catch((error: unknown) => {
        throw error instanceof Problem ? error : cutOff(error)
      })
      if (next.done) return
      const part = next.value as Buffer
      bytes += part.byteLength
      yield part
    }
  } finally {
    // Not waited for: it follows the part that is waited for, which may never come.
    void parts.return?.()
  }
}

/** Looks at each part of a body as it comes, and answers what the body is to be refused with. */
function checker({ bytesMax, valuesMax }: BodyBounds, budget: BodyBudget): (part: Buffer) => Problem | undefined {
  const countValues = jsonValueCounter()
  let bytes = 0
  return (part) => {
    bytes += part.byteLength
    if (bytes > bytesMax) return tooLarge(bytesMax)
    if (countValues(part) > valuesMax) return tooManyValues(valuesMax)
    return budget.bytes > budget.bytesMax ? new Problem('LOG_BUSY', { headers: close }) : undefined
  }
}

function letGo(chunks: Buffer[], budget: BodyBudget): void {
  for (const { byteLength } of chunks.splice(0)) budget.bytes -= byteLength
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw wrong('body', 'It is not UTF-8.', 'UTF-8 text.', error)
  }
}

/**
 * Throws for what no schema should have to think of; answers how many fields all objects in it have. `path` is where
 * `value` stands: grown and shrunk in place, because a large body has a great many places.
 */
function checkValue(value: unknown, path: (string | number)[]): number {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw wrong(placeOf(path), 'It is too large for a number.', 'A number that a double holds.')
  if (typeof value !== 'object' || value === null) return 0
  if (path.length >= depthMax) {
    throw wrong(placeOf(path), `It is nested deeper than ${depthMax} levels.`, `At most ${depthMax} levels.`)
  }
  const isList = Array.isArray(value)
  let count = 0
  for (const [name, field] of isList ? value.entries() : Object.entries(value)) {
    path.push(name)
    if (typeof name === 'string' && forbiddenNames.has(name)) {
      throw wrong(placeOf(path), 'Its name is not allowed.', 'Any other name.')
    }
    count += checkValue(field, path) + (isList ? 0 : 1)
    path.pop()
  }
  return count
}

/**
 * How many names of fields the text of a JSON value has: where that is more than its objects have, one was given twice,
 * and JSON.parse has dropped all but the last. Only counted, because a body may hold millions.
 */
function namesIn(text: string): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    at = endOfString(text, at)
    if (isName(text, at)) count += 1
  }
  return count
}

/** Just after the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end + 1
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === backslash) before -= 1
  return (at - before) % 2 === 0
}

/** A string is a name when a colon follows it. */
function isName(text: string, at: number): boolean {
  let next = at
  while (spaces.has(text.charCodeAt(next))) next += 1
  return text.charCodeAt(next) === colon
}

const backslash = 0x5c
const colon = 0x3a
const spaces = new Set([0x20, 0x09, 0x0a, 0x0d])

/** The refusal that names the first name given twice; found slowly, because only what is refused pays for it. */
function twice(text: string): Problem {
  const open: Set<string>[] = []
  for (let at = 0; at < text.length; at++) {
    const token = text.charAt(at)
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (token === '"') {
      const end = endOfString(text, at)
      const name = isName(text, end) ? (JSON.parse(text.slice(at, end)) as string) : undefined
      at = end - 1
      if (name === undefined) continue
      if (open.at(-1)?.has(name))
        return wrong(whereOf('body', [name]), 'It is given twice in one object.', 'One value.')
      open.at(-1)?.add(name)
    }
  }
  return wrong('body', 'A name is given twice in one object.', 'Each name once.')
}

/** Enough to find it by. */
const placePartsMax = 10
const placeOf = (path: readonly PropertyKey[]): string => whereOf('body', path.slice(0, placePartsMax))

const close = { Connection: 'close' }

const tooSlow = (): Problem => new Problem('REQUEST_TOO_SLOW', { headers: close })

const cutOff = (cause: unknown): Problem =>
  new Problem('REQUEST_INVALID', { detail: 'The body was cut off.', headers: close }, { cause })

const tooLarge = (bytesMax: number): Problem =>
  new Problem('BODY_TOO_LARGE', {
    detail: `The body may have ${bytesMax} bytes.`,
    members: { bytesMax },
    headers: close,
  })

const tooManyValues = (valuesMax: number): Problem =>
  new Problem('REQUEST_INVALID', {
    detail: `The body may have ${valuesMax} values.`,
    errors: [
      {
        where: 'body',
        problem: `It has more than ${valuesMax} values.`,
        expected: `At most ${valuesMax}: each text, number, list and object is one.`,
        remedy: 'Send no more than the request is documented to take; several requests may take it.',
      },
    ],
    headers: close,
  })

function wrong(where: string, problem: string, expected: string, cause?: unknown): Problem {
  const error: FieldError = { where, problem, expected, remedy: 'Correct the body.' }
  return Object.assign(invalid(error), { cause })
}
