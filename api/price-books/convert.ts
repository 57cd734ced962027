/** Price books between the API and the rest. */
import { z } from 'zod'
import type { BookProblem } from '../../pricing/index.ts'
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
export const toFieldErrors = (wrong: readonly BookProblem[]): FieldError[] =>
  wrong.map(({ at, problem, expected }) => ({
    where: at === 'book' ? 'body' : `body.${at}`,
    problem: problem === undefined ? 'It is not as a price book has it.' : sentence(problem),
    expected: sentence(expected),
    remedy: 'Correct the book and publish it again.',
  }))

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

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
