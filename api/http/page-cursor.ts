/** Cursors as callers see them: signed, and bound to whose list it is and what was asked of it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { badCursor } from './cursor.ts'

/** Everything that decides which list it is; how many at a time may change from page to page. */
export type ListAsked = {
  tenantId: string
  path: string
  params: unknown
  query: Readonly<Record<string, unknown>>
}

export const sealCursor = (key: Uint8Array, asked: ListAsked, inner: string): string =>
  `${inner}.${macOf(key, asked, inner).toString('base64url')}`

/** Throws REQUEST_INVALID for a cursor that was not given out for this list. */
export function openCursor(key: Uint8Array, asked: ListAsked, text: string): string {
  const [, inner = '', mac = ''] = /^([\w-]+)\.([\w-]{22})$/.exec(text) ?? []
  const given = Buffer.from(mac, 'base64url')
  const wanted = macOf(key, asked, inner)
  if (given.byteLength !== wanted.byteLength || !timingSafeEqual(given, wanted)) throw badCursor()
  return inner
}

// 128 bits are plenty for what cannot be tried offline.
function macOf(key: Uint8Array, { tenantId, path, params, query }: ListAsked, inner: string): Buffer {
  const filters = Object.entries(query).filter(([name]) => name !== 'cursor' && name !== 'limit')
  const list = JSON.stringify([tenantId, path, params, filters.sort(([a], [b]) => (a < b ? -1 : 1)), inner])
  return createHmac('sha256', key).update(list).digest().subarray(0, 16)
}
