/** Which prices are in force? One row per published price book; the first publication of a book stands. */
import { bigint, projection, sqlFile, text } from '../projection.ts'

export const priceBooks = projection({
  name: 'price-books',
  version: 1,
  table: 'price_book',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'hash'],
  columns: {
    tenant_id: text,
    hash: text,
    currency: text,
    effective_from: bigint,
    published_at: bigint,
    published_by: text,
    book: text,
  },
  apply(fact) {
    if (fact.type !== 'PriceBookPublished') return []
    return [
      {
        op: 'insert',
        key: { tenant_id: fact.tenantId, hash: fact.hash },
        values: {
          currency: fact.currency,
          effective_from: fact.effectiveFrom,
          published_at: fact.occurredAt,
          published_by: fact.actor,
          book: fact.book,
        },
      },
    ]
  },
})
