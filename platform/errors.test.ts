import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { failures, isFailure, PlatformError } from './errors.ts'

const page = join(import.meta.dirname, '../docs/reference/errors.md')

const table = (): string =>
  Object.entries(failures)
    .map(
      ([code, { httpStatus, canRetry, means }]) =>
        `| \`${code}\` | ${httpStatus} | ${canRetry ? 'yes' : 'no'} | ${means} |`,
    )
    .join('\n')

test('the documented table of errors is the one in the code (UPDATE_DOCS=1 writes it)', () => {
  const [start, end] = ['<!-- table -->\n', '<!-- end of table -->\n']
  const text = readFileSync(page, 'utf8')
  const head = text.slice(0, text.indexOf(start) + start.length)
  const rest = text.slice(text.indexOf(end)) // Reasons of refusals, which are not errors: api/refusals.test.ts.
  const wanted = `${head}| code | HTTP status | may be retried | means |\n| --- | --- | --- | --- |\n${table()}\n${rest}`
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})

test('an error carries its code, its facts and what the code says about retrying', () => {
  const error = new PlatformError('LOG_BUSY', { waiting: 7, left: undefined }, { cause: 'x' })
  expect(error).toMatchObject({ name: 'PlatformError', code: 'LOG_BUSY', canRetry: true, cause: 'x' })
  expect(error.message).toBe('LOG_BUSY: Too much is waiting to be written; try again shortly. (waiting: 7)')
  expect(new PlatformError('LOG_GAP').canRetry).toBe(false)
})

test('isFailure tells one code from another, and from any other error', () => {
  const error: unknown = new PlatformError('LOG_GAP')
  expect(isFailure(error)).toBe(true)
  expect(isFailure(error, 'LOG_BUSY', 'LOG_GAP')).toBe(true)
  expect(isFailure(error, 'LOG_BUSY')).toBe(false)
  expect(isFailure(new Error('LOG_GAP'))).toBe(false)
})
