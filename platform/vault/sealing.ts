/** AES-256-GCM as the vault uses it, for keys and content alike: a fresh nonce each time, and a context that must match. */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { Random } from '../clock.ts'

export const keyBytes = 32
const nonceBytes = 12 // 96 bits, drawn at random: safe for 2³² messages under one key (NIST SP 800-38D, 8.3).
const tagBytes = 16
const cipher = 'aes-256-gcm'

/** Parts with their lengths before them, so that ('a','bc') and ('ab','c') differ. */
export const lengthPrefixed = (parts: readonly string[]): Buffer =>
  Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )

/** A key made ready once: Node prepares bytes anew at every use, which takes longer than sealing a short text. */
export const keyFrom = (bytes: Uint8Array): KeyObject => createSecretKey(bytes)

/** nonce ‖ ciphertext ‖ tag. `context` is not in it, but opening needs the same one. */
export function seal(key: KeyObject, content: Uint8Array, context: readonly string[], random: Random): Buffer {
  const nonce = random.bytes(nonceBytes)
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes })
  sealing.setAAD(lengthPrefixed(context))
  return Buffer.concat([nonce, sealing.update(content), sealing.final(), sealing.getAuthTag()])
}

/** The content, or undefined when anything about it, its key or its context is not as it was sealed. */
export function open(key: KeyObject, sealed: Uint8Array, context: readonly string[]): Buffer | undefined {
  if (sealed.byteLength < nonceBytes + tagBytes) return undefined
  const opening = createDecipheriv(cipher, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
  opening.setAAD(lengthPrefixed(context))
  opening.setAuthTag(sealed.subarray(sealed.byteLength - tagBytes))
  try {
    const content = opening.update(sealed.subarray(nonceBytes, sealed.byteLength - tagBytes))
    return Buffer.concat([content, opening.final()])
  } catch {
    return undefined // Node throws one untyped error for every mismatch.
  }
}

/** A key for one purpose, from which neither `key` nor the key of another purpose can be computed (HKDF-SHA-256). */
export const derivedKey = (key: KeyObject, purpose: readonly string[]): Buffer =>
  Buffer.from(hkdfSync('sha256', key, new Uint8Array(), lengthPrefixed(purpose), keyBytes))
