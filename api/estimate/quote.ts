/** Quotes: an estimate that its caller can approve. Signed, so that nothing has to be kept, and nobody can write one. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalJson, type Json } from '../../pricing/index.ts'
import type { EpochMs, Pico } from '../../schemas/units.ts'
import type { Work } from '../jobs/read-work.ts'

/** How long a quote can be used, in milliseconds. */
export const quoteMs = 3_600_000
/** Longest text of a quote, in characters. */
export const quoteLengthMax = 1_000

export type Quote = {
  /** Most that the job can cost. */
  maxCharge: Pico
  expiresAtMs: EpochMs
}

/** What a quote is for: the tenant and the work; the same work is the same however its JSON was written. */
export const quotedFor = (
  tenantId: string,
  { capability, input, params, model }: Pick<Work, 'capability' | 'input' | 'params' | 'model'>,
): string =>
  createHash('sha256')
    .update(canonicalJson([tenantId, capability.name, input, params, model ?? null] as Json))
    .digest('base64url')

export function writeQuote(key: Uint8Array, subject: string, { maxCharge, expiresAtMs }: Quote): string {
  const terms = `${maxCharge}.${expiresAtMs}`
  return `${terms}.${macOf(key, subject, terms).toString('base64url')}`
}

/** The terms of a quote, expired or not; undefined when it is none, or one for something else. */
export function readQuote(key: Uint8Array, subject: string, text: string): Quote | undefined {
  const [, maxCharge = '', expiresAtMs = '', mac = ''] = /^(\d{1,38})\.(\d{1,15})\.([\w-]{43})$/.exec(text) ?? []
  const given = Buffer.from(mac, 'base64url')
  const wanted = macOf(key, subject, `${maxCharge}.${expiresAtMs}`)
  if (given.byteLength !== wanted.byteLength || !timingSafeEqual(given, wanted)) return undefined
  return { maxCharge: BigInt(maxCharge), expiresAtMs: Number(expiresAtMs) }
}

const macOf = (key: Uint8Array, subject: string, terms: string): Buffer =>
  createHmac('sha256', key).update(`${subject}.${terms}`).digest()
