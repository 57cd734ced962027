/**
 * Ids derived from what they name: the same cause always has the same id, so a repeated decision, delivery or
 * retry can be recognised anywhere, and no clock or random source is needed to make one.
 */
import { hash } from 'node:crypto'

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

export const jobIdFrom = (tenantId: string, idempotencyKey: string): string => idFrom('job', tenantId, idempotencyKey)
export const attemptIdFrom = (tenantId: string, jobId: string, attemptNo: number): string =>
  idFrom('att', tenantId, jobId, attemptNo)
/** Id of a fact: `index` counts the facts one cause leads to, in order. */
export const eventIdFrom = (tenantId: string, causedBy: string, type: string, index: number): string =>
  idFrom('evt', tenantId, causedBy, type, index)
/** Id of a ledger line; `revision` is 0 for the first rating of a cause. */
export const lineIdFrom = (tenantId: string, jobId: string, kind: string, revision: number): string =>
  idFrom('line', tenantId, jobId, kind, revision)

const wordsKept = 3

/** 96 bits of SHA-256 of an id, as three words, lowest byte first: what stands for it where very many are remembered. */
export function wordsOfId(id: string): Uint32Array {
  const bytes = sha256(id)
  const words = new Uint32Array(wordsKept)
  for (let at = 0; at < wordsKept * 4; at++)
    words[at >> 2] = (words[at >> 2] ?? 0) | (bytes.charCodeAt(at) << (8 * (at & 3)))
  return words
}
