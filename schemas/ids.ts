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
  let text = ''
  for (const part of [kind, ...parts]) text += `${Buffer.byteLength(String(part))}:${part}`
  return `${kind}_${base32(hash('sha256', text, 'buffer'))}`
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5 && text.length < 26) {
      bits -= 5
      text += alphabet.charAt((held >> bits) & 31)
    }
    held &= (1 << bits) - 1
    if (text.length === 26) break
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

const wordsKept = 4

/** 128 bits of SHA-256 of an id, as four words: what stands for it where very many are remembered. */
export function wordsOfId(id: string): Uint32Array {
  const digest = hash('sha256', id, 'buffer')
  return Uint32Array.from({ length: wordsKept }, (_, index) => digest.readUInt32LE(index * 4))
}
