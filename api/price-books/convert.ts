/** Price books between the API and the rest. */
import { z } from 'zod'
import { capabilities } from '../../capabilities/index.ts'
import { type BookProblem, entriesMax } from '../../pricing/index.ts'
import type { PublishedBook, PublishedBookText } from '../../projections/price-books/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { hash, money, next, time } from '../http/forms.ts'
import { inputSchema } from '../http/json-schema.ts'
import type { FieldError } from '../http/problem.ts'

const nameForm = z.string().min(1).max(200)
const perMillion = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,6})?$/)
  .describe('In main units, for a million tokens; at most 6 decimals.')
const ratesForm = z.strictObject({
  perRequest: money.describe('In main units, for an admitted job.'),
  perMillionInputTokens: perMillion,
  perMillionCacheReadTokens: perMillion,
  perMillionCacheWriteTokens: perMillion,
  perMillionOutputTokens: perMillion,
})
const bookForm = z.strictObject({
  name: nameForm,
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .describe('Of ISO 4217.'),
  effectiveFrom: time.describe('UTC; jobs that are admitted from then on are priced by it, once it is published.'),
  entries: z
    .array(
      z.strictObject({
        capability: z.enum(capabilities.map(({ name }) => name)),
        provider: nameForm,
        model: nameForm.describe('A model, or * for every model of the provider without an entry of its own.'),
        price: ratesForm.describe('What the tenant pays.'),
        ownKeyPrice: ratesForm.describe('What the tenant pays where the key is its own or that of an ancestor.'),
        cost: ratesForm
          .nullable()
          .describe('What the provider charges: shown, not charged; null where it is not known.'),
      }),
    )
    .min(1)
    .max(entriesMax),
})

/** Described here; checked by pricing itself, which also rates by it. */
export const bookBody = z.record(z.string(), z.unknown()).meta(inputSchema(bookForm))

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
