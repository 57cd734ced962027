/** Price books: published by the platform, read by whoever is priced by them. */
import { z } from 'zod'
import { bookBytesMax, bookValuesMax, parsePriceBook, starterBookJson } from '../../pricing/index.ts'
import { publishPrices } from '../../producers/index.ts'
import { bookByHash, bookPage } from '../../projections/price-books/queries.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { roles } from '../auth/principal.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, toCursor, wholeForm } from '../http/cursor.ts'
import { cursor, hash, isCurrency, limit, limitDefault, none } from '../http/forms.ts'
import { invalid, notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { bookBody, bookReply, booksReply, toApiBook, toApiBookHead, toFieldErrors } from './convert.ts'
import { unusableEntries } from './unusable-entries.ts'

const findBook = async ({ database }: Parts, bookHash: string) => {
  const book = await database.asService((tx) => bookByHash(tx, bookHash))
  if (!book) throw notFound('price book')
  return toApiBook(book)
}

export const priceBookRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/price-books',
    summary:
      'Publishes a price book; jobs admitted from its effectiveFrom on are priced by it. A published book never changes.',
    description:
      'Of the books of a currency whose effectiveFrom has come the one with the latest applies; of several with the same effectiveFrom the one that was published last. A book dated in the past takes effect when it is published: jobs that were admitted before keep their prices. See docs/price-books.md.',
    roles: ['platform-admin'],
    params: none,
    query: none,
    body: bookBody,
    example: JSON.parse(starterBookJson()),
    bodyBytesMax: bookBytesMax,
    bodyValuesMax: bookValuesMax,
    replies: { 201: bookReply },
    codes: answerCodes,
    async handle({ body, caller, gone }, parts) {
      const parsed = parsePriceBook(JSON.stringify(body))
      if (!parsed.ok) throw invalid(...toFieldErrors(parsed.wrong))
      if (!isCurrency(parsed.book.currency)) throw invalid(unknownCurrency)
      const unusable = unusableEntries(parsed.book, parts.providers)
      if (unusable.length > 0) throw invalid(...unusable)
      const prices = { hash: parsed.book.hash, book: parsed.canonical }
      const { requestId } = await publishPrices(parts.appender, caller, prices)
      await awaitAnswer({ tenantId: platformTenantId, requestId }, parts, gone)
      return { status: 201, body: await findBook(parts, prices.hash) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/price-books',
    summary: 'Published price books without their entries, newest first.',
    roles,
    params: none,
    query: z.strictObject({ limit, cursor }),
    replies: { 200: booksReply },
    async handle({ query }, { database }) {
      const before = fromCursor(query.cursor, wholeForm)?.[0]
      const wish = { limit: query.limit ?? limitDefault, ...(before !== undefined && { beforeSeq: BigInt(before) }) }
      const { items, next } = await database.asService((tx) => bookPage(tx, wish))
      return {
        status: 200,
        body: { priceBooks: items.map(toApiBookHead), next: toCursor(next === null ? null : [String(next)]) },
      }
    },
  }),
  route({
    method: 'get',
    path: '/v1/price-books/{hash}',
    summary: 'A price book, by the hash that every rated job names.',
    isRevalidated: true,
    roles,
    params: z.strictObject({ hash }),
    query: none,
    replies: { 200: bookReply },
    handle: async ({ params }, parts) => ({ status: 200, body: await findBook(parts, params.hash) }),
  }),
]

const unknownCurrency = {
  where: 'body.currency',
  problem: 'It is not a known currency.',
  expected: 'A currency of ISO 4217, three capital letters such as USD.',
  remedy: 'Choose one of those.',
}
