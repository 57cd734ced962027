/** Price books between the API and the rest. */
import { z } from 'zod'
import type { PublishedBook, PublishedBookText } from '../../projections/price-books/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { hash, next, time } from '../http/forms.ts'
import type { FieldError } from '../http/problem.ts'

/** The form of a book is checked by pricing itself, which also rates by it. */
export const bookBody = z.record(z.string(), z.unknown())

const bookFields = {
  hash,
  currency: z.string(),
  effectiveFrom: time,
  publishedAt: time,
  publishedBy: z.string(),
}
export const bookReply = z.strictObject({ ...bookFields, book: z.record(z.string(), z.unknown()) })
export const booksReply = z.strictObject({ priceBooks: z.array(z.strictObject(bookFields)), next })

/** `body.` before the place that pricing names, so that all answers name places alike. */
export function toFieldErrors(problems: readonly string[]): FieldError[] {
  return problems.map((text) => {
    const [place = '', ...rest] = text.split(': ')
    const isPlace = rest.length > 0
    return {
      where: isPlace && place !== 'book' ? `body.${place}` : 'body',
      problem: 'It is not as a price book has it.',
      expected: isPlace ? rest.join(': ') : text,
      remedy: 'Correct the book and publish it again.',
    }
  })
}

export const toApiBookHead = (book: PublishedBook): z.infer<typeof booksReply>['priceBooks'][number] => ({
  hash: book.hash,
  currency: book.currency,
  effectiveFrom: isoFromMicros(book.effectiveFrom),
  publishedAt: isoFromMicros(book.publishedAt),
  publishedBy: book.publishedBy,
})

export const toApiBook = (book: PublishedBookText): z.infer<typeof bookReply> => ({
  ...toApiBookHead(book),
  book: JSON.parse(book.book) as Record<string, unknown>,
})
