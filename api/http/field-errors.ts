/** From what a schema complains about to what a caller can act on. Values are never repeated: they may be secrets. */
import type { z } from 'zod'
import type { FieldError } from './problem.ts'

const errorsMax = 50
const nameCharsMax = 100

/** `root`: body, query or path. At most 50. */
export const fieldErrors = (root: string, error: z.ZodError): FieldError[] =>
  error.issues.flatMap((issue) => fromIssue(root, issue)).slice(0, errorsMax)

function fromIssue(root: string, issue: z.core.$ZodIssue): FieldError[] {
  const where = whereOf(root, issue.path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        where: whereOf(where, [key]),
        problem: 'It is not a known field.',
        expected: 'Only the documented fields.',
        remedy: 'Remove it, or correct its name.',
      }))
    case 'invalid_type':
      return issue.input === undefined
        ? [{ where, problem: 'It is missing.', expected: typeOf(issue.expected), remedy: 'Add it.' }]
        : [
            {
              where,
              problem: 'It has another type.',
              expected: typeOf(issue.expected),
              remedy: 'Change its type.',
            },
          ]
    case 'invalid_value':
      return [
        {
          where,
          problem: 'It is not one of the known values.',
          expected: `One of ${issue.values.map(String).join(', ')}.`,
          remedy: 'Choose one of them.',
        },
      ]
    case 'too_small':
      return [
        {
          where,
          problem: 'It is too small.',
          expected: `At least ${bound(issue.minimum, issue.origin)}.`,
          remedy: 'Make it larger.',
        },
      ]
    case 'too_big':
      return [
        {
          where,
          problem: 'It is too large.',
          expected: `At most ${bound(issue.maximum, issue.origin)}.`,
          remedy: 'Make it smaller.',
        },
      ]
    case 'invalid_union':
      return [
        {
          where,
          problem: 'It fits none of the known forms.',
          expected: expectedOf(issue),
          remedy: 'Use one of the documented forms.',
        },
      ]
    default:
      return [
        {
          where,
          problem: 'It does not have the expected form.',
          expected: issue.message,
          remedy: remedyOf(issue),
        },
      ]
  }
}

/** A rule whose remedy is not to write the same in another way names it in `params`. */
function remedyOf(issue: z.core.$ZodIssue): string {
  const remedy = issue.code === 'custom' ? issue.params?.['remedy'] : undefined
  return typeof remedy === 'string' ? remedy : 'Write it in that form.'
}

// The schema library's own word for a field that may be anything but absent.
const typeOf = (expected: string): string => (expected === 'nonoptional' ? 'A value.' : `A value of type ${expected}.`)

const expectedOf = (issue: z.core.$ZodIssue): string =>
  'discriminator' in issue && typeof issue.discriminator === 'string'
    ? `A known value of ${issue.discriminator}.`
    : 'One of the documented forms.'

function bound(limit: number | bigint, origin: string): string {
  if (origin === 'string') return `${limit} characters`
  return origin === 'array' ? `${limit} items` : String(limit)
}

/** `body.caps[2].limit`; names that are very long are cut. */
export function whereOf(root: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part).slice(0, nameCharsMax)}`),
    root,
  )
}
