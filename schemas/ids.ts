/**
 * Ids derived from what they name: the same cause always has the same id, so a repeated decision, delivery or
 * retry can be recognised anywhere, and no clock or random source is needed to make one.
 *
 * Those of jobs begin with a time besides, and those of what belongs to a job with the time of the job: what is written
 * at one time then lies together in every index, however large that has become.
 */
import { hash } from 'node:crypto'
import type { EpochMs } from './units.ts'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford base32: no i, l, o, u

/**
 * `<kind>_<26 characters>` from SHA-256 over the length-prefixed parts, cut to 130 bits.
 * Length prefixes keep ('a','bc') and ('ab','c') apart: ids are never joined text.
 */
export function idFrom(kind: string, ...parts: readonly (string | number | bigint)[]): string {
  let text = prefixed(kind)
  for (const part of parts) text += prefixed(String(part))
  return `${kind}_${base32(sha256(text))}`
}

const prefixed = (part: string): string => `${Buffer.byteLength(part)}:${part}`

/** A character for each byte: making a Buffer takes twice as long as the hash itself. */
const sha256 = (text: string): string => hash('sha256', text, 'binary')

function base32(bytes: string): string {
  let text = ''
  let held = 0
  let bits = 0
  for (let at = 0; text.length < 26; at++) {
    held = ((held & 31) << 8) | bytes.charCodeAt(at)
    bits += 8
    for (; bits >= 5 && text.length < 26; text += alphabet.charAt((held >> bits) & 31)) bits -= 5
  }
  return text
}

/** Nine characters of five bits: milliseconds until the year 3084. */
const timeLength = 9
/** Ninety bits: of a thousand million jobs two have the same with a chance of one in 2.5 × 10⁹. */
const timedHashLength = 18

/** `<kind>_<9 characters of time><18 of SHA-256>`: ids of later times sort behind. */
export const timedIdFrom = (kind: string, atMs: EpochMs, ...parts: readonly (string | number | bigint)[]): string =>
  timed(textOfTime(atMs), idFrom(kind, ...parts))

/**
 * One key has one `keyOfJob` at any time. `atMs`: when the key was first asked for, by the clock of whoever was asked. The
 * row of a submission keeps the id, and no other way leads from a key to it.
 */
export const jobIdFrom = (tenantId: string, idempotencyKey: string, atMs: EpochMs): string =>
  timedIdFrom('job', atMs, tenantId, idempotencyKey)

/** Id of something that belongs to a job. Jobs made before ids began with a time keep theirs as they are, and so does this. */
export const idWithin = (jobId: string, kind: string, ...parts: readonly (string | number | bigint)[]): string =>
  timed(timeOf(jobId), idFrom(kind, ...parts))

/** What ids of jobs that were made for the same key have in common, whenever that was, also before ids began with a time. */
export const keyOfJob = (jobId: string): string => {
  const from = jobId.indexOf('_') + 1 + timeOf(jobId).length
  return jobId.length - from < timedHashLength ? jobId : jobId.slice(from, from + timedHashLength)
}

function timeOf(jobId: string): string {
  const from = jobId.indexOf('_') + 1
  return jobId.length - from === timeLength + timedHashLength ? jobId.slice(from, from + timeLength) : ''
}

function timed(time: string, id: string): string {
  if (time === '') return id
  const from = id.indexOf('_') + 1
  return id.slice(0, from) + time + id.slice(from, from + timedHashLength)
}

function textOfTime(atMs: EpochMs): string {
  let text = ''
  let left = Math.max(0, atMs)
  for (let n = 0; n < timeLength; n++, left = Math.floor(left / 32)) text = alphabet.charAt(left % 32) + text
  return text
}

export const attemptIdFrom = (tenantId: string, jobId: string, attemptNo: number): string =>
  idWithin(jobId, 'att', tenantId, jobId, attemptNo)
/** Id of a fact: `index` counts the facts one cause leads to, in order. */
export const eventIdFrom = (tenantId: string, causedBy: string, type: string, index: number): string =>
  idFrom('evt', tenantId, causedBy, type, index)
/** Id of a ledger line; `revision` is 0 for the first rating of a cause. */
export const lineIdFrom = (tenantId: string, jobId: string, kind: string, revision: number): string =>
  idWithin(jobId, 'line', tenantId, jobId, kind, revision)

const wordsKept = 3

/** 96 bits of SHA-256 of an id, as three words, lowest byte first: what stands for it where very many are remembered. */
export function wordsOfId(id: string): Uint32Array {
  const bytes = sha256(id)
  const words = new Uint32Array(wordsKept)
  for (let at = 0; at < wordsKept * 4; at++)
    words[at >> 2] = (words[at >> 2] ?? 0) | (bytes.charCodeAt(at) << (8 * (at & 3)))
  return words
}
