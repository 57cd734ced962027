/** Cursors: where the next page begins, as text that callers hand back unread. */
import { invalid } from './problem.ts'

export const toCursor = (parts: readonly string[] | null): string | null =>
  parts === null ? null : Buffer.from(JSON.stringify(parts)).toString('base64url')

/** Parts of a cursor, each matching its form; undefined when none was given. Throws REQUEST_INVALID for anything else. */
export function fromCursor<const Forms extends readonly RegExp[]>(
  text: string | undefined,
  ...forms: Forms
): { [Index in keyof Forms]: string } | undefined {
  if (text === undefined) return undefined
  const parts = parse(text)
  const fits =
    Array.isArray(parts) &&
    parts.length === forms.length &&
    forms.every((form, i) => typeof parts[i] === 'string' && form.test(parts[i]))
  if (fits) return parts as { [Index in keyof Forms]: string }
  throw badCursor()
}

export const badCursor = () =>
  invalid({
    where: 'query.cursor',
    problem: 'It is not a cursor of this list.',
    expected: 'The value of `next` from the page before, with the same filters.',
    remedy: 'Leave it out to begin at the first page.',
  })

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

export const wholeForm = /^\d{1,18}$/
export const idForm = /^[\x20-\x7e]{1,200}$/
