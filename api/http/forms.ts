/** Forms that fields of several resources share. The text of a rule says what is expected, because callers read it. */
import { z } from 'zod'
import { microsFromMs, picoFromDecimal } from '../../schemas/units.ts'

const idText = '1 to 100 letters, digits or any of . _ : @ -, beginning with a letter or digit'
/** Ids that callers choose. */
export const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}$/, idText)

export const name = z.string().regex(/^[^\p{C}\s](?:[^\p{C}]{0,198}[^\p{C}\s])?$/u, '1 to 200 printable characters')
const currencies = new Set(Intl.supportedValuesOf('currency'))
const currencyText = 'a currency of ISO 4217, three capital letters such as USD'
export const isCurrency = (text: string): boolean => currencies.has(text)
export const currency = z
  .string()
  .regex(/^[A-Z]{3}$/, { error: currencyText, abort: true }) // What fails it fails the list as well, and is told once.
  .refine(isCurrency, currencyText)
export const hash = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex, 64 lower-case characters')
export const day = z.iso.date('a date of the calendar, such as 2026-01-31')
export const time = z.iso.datetime({ error: 'a time in UTC, such as 2026-01-31T12:00:00Z' })
/** A time in a query, in microseconds since the epoch, as facts have it. */
export const moment = time.transform((text) => microsFromMs(Date.parse(text)))
export const billingPeriod = z
  .string()
  .regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'a month, such as 2026-01')
  .describe(
    'A billing period such as 2026-01: the calendar month in which a job was admitted, in the time zone of the tenant that was charged. Days that are asked for besides are UTC days on which jobs were rated, another calendar: jobs of a period can stand on days before and after those of its month, so ask for a few more at both ends.',
  )

const moneyText = 'a decimal in main units as text, such as "12.50"'
/** An amount of money in main units, exact; read with picoFromDecimal. */
export const money = z
  .string()
  .regex(/^(0|[1-9]\d{0,14})(\.\d{1,12})?$/, { error: moneyText, abort: true })
  .refine((text) => picoFromDecimal(text) !== undefined, moneyText)
/** An amount in an answer. */
export const amount = z.string()
/** A count that JSON carries exactly. */
export const count = z.int().min(0)

/** A whole number in a query: described as the number it stands for, whose form as text goes without saying. */
export const wholeNumber = (min: number, max: number, description: string) => {
  const text = `a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,9}$/, text)
    .transform(Number)
    .refine((value) => value >= min && value <= max, text)
    .meta({ type: 'integer', minimum: min, maximum: max, pattern: undefined, description })
}

export const waitSMax = 60
export const wait = wholeNumber(
  0,
  waitSMax,
  `How many seconds to wait for the end, ${waitSMax} at most; without it, or with 0, the answer comes at once.`,
).optional()
export const limitDefault = 100
const limitMax = 1_000
export const limit = wholeNumber(
  1,
  limitMax,
  `How many a page holds at most: 1 to ${limitMax}, ${limitDefault} without it.`,
).optional()
export const cursor = z
  .string()
  .max(1_000)
  .describe('`next` of the page before, with the same filters; without it the first page.')
  .optional()

export const none = z.strictObject({})
export const optionalTime = z.string().nullable()
/** The answer's cursor for the next page; null on the last. */
export const next = z.string().nullable()
