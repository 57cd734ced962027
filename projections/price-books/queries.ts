/** Price books. They belong to the platform and say nothing of a tenant: run as the service, for whoever has a token. */
import type { Tx } from '../../platform/postgres/database.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import { bigintFrom, checkedLimit, pageOf, type SqlInteger } from '../rows.ts'

export type PublishedBook = {
  hash: string
  currency: string
  effectiveFrom: EpochMicros
  publishedAt: EpochMicros
  publishedBy: string
  /** Position of its publication; of two books effective from the same moment the later one is in force. */
  seq: bigint
}
export type PublishedBookText = PublishedBook & {
  /** Canonical JSON, exactly as published. */
  book: string
}

export async function bookByHash(tx: Tx, hash: string): Promise<PublishedBookText | undefined> {
  const { rows } = await tx.query<BookRow>('SELECT * FROM price_book WHERE hash = $1', [hash])
  return rows[0] && fromRowBook(rows[0])
}

/** The book of the currency that has been effective for the shortest time at `now`; undefined when there is none. */
export async function bookInForce(tx: Tx, currency: string, now: EpochMicros): Promise<PublishedBookText | undefined> {
  const { rows } = await tx.query<BookRow>(
    'SELECT * FROM price_book WHERE currency = $1 AND effective_from <= $2 ORDER BY effective_from DESC, seq DESC LIMIT 1',
    [currency, String(now)],
  )
  return rows[0] && fromRowBook(rows[0])
}

/** Newest publication first, without the texts. Throws REQUEST_INVALID for a limit out of 1 to 1,000. */
export async function bookPage(
  tx: Tx,
  wish: { limit: number; beforeSeq?: bigint },
): Promise<{ items: PublishedBook[]; next: bigint | null }> {
  const limit = checkedLimit(wish.limit)
  const { rows } = await tx.query<Omit<BookRow, 'book'>>(
    `SELECT hash, currency, effective_from, published_at, published_by, seq FROM price_book
     WHERE $1::bigint IS NULL OR seq < $1 ORDER BY seq DESC LIMIT $2`,
    [wish.beforeSeq === undefined ? null : String(wish.beforeSeq), limit + 1],
  )
  return pageOf(rows.map(fromRowHead), limit, (book) => book.seq)
}

type BookRow = {
  hash: string
  currency: string
  effective_from: SqlInteger
  published_at: SqlInteger
  published_by: string
  book: string
  seq: SqlInteger
}

const fromRowHead = (row: Omit<BookRow, 'book'>): PublishedBook => ({
  hash: row.hash,
  currency: row.currency,
  effectiveFrom: bigintFrom(row.effective_from),
  publishedAt: bigintFrom(row.published_at),
  publishedBy: row.published_by,
  seq: bigintFrom(row.seq),
})
const fromRowBook = (row: BookRow): PublishedBookText => ({ ...fromRowHead(row), book: row.book })
