/** Reading rows of views: numbers as PF-3 has them, pages with a bound. */
import { PlatformError } from '../platform/errors.ts'

/** Eight-byte integers and sums reach us as bigint or text, depending on the column. */
export type SqlInteger = bigint | string | number

export const bigintFrom = (value: SqlInteger): bigint => BigInt(value)
export const bigintOrNull = (value: SqlInteger | null): bigint | null => (value === null ? null : BigInt(value))

export const pageRowsMax = 1_000

/** Throws REQUEST_INVALID unless 1 ≤ limit ≤ 1,000. */
export function checkedLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > pageRowsMax)
    throw new PlatformError('REQUEST_INVALID', { limit, limitMax: pageRowsMax })
  return limit
}

/** One page out of up to `limit + 1` rows: the one too many only says that there is more. */
export function pageOf<Item, Cursor>(
  items: readonly Item[],
  limit: number,
  cursorOf: (item: Item) => Cursor,
): { items: Item[]; next: Cursor | null } {
  const page = items.slice(0, limit)
  const last = page.at(-1)
  return { items: page, next: items.length > limit && last !== undefined ? cursorOf(last) : null }
}
