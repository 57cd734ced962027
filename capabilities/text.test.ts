import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inputTokensMaxOf, textBytesMax, textSchema } from './text.ts'

const complaint = (text: unknown) => textSchema.safeParse(text).error?.issues.map(({ message }) => message)

test.each([
  ['the longest', 'x'.repeat(textBytesMax)],
  ['one of many bytes per character', '😀'.repeat(textBytesMax / 4)],
  ['white space', ' '],
  ['half of nothing: a whole pair', '\ud83d\ude00'],
])('takes %s', (_, text) => {
  expect(complaint(text)).toBeUndefined()
})

test.each([
  ['an empty text', '', 'must not be empty'],
  ['a lone surrogate', 'a\ud83d', 'must be well-formed Unicode: it holds a lone surrogate'],
  ['NUL', 'a\0b', 'must not hold a NUL character'],
  ['one byte too many', 'x'.repeat(textBytesMax + 1), 'must have at most 1048576 bytes in UTF-8'],
  ['too many bytes in few characters', '😀'.repeat(textBytesMax / 4 + 1), 'must have at most 1048576 bytes in UTF-8'],
])('refuses %s', (_, text, expected) => {
  expect(complaint(text)).toEqual([expected])
})

test('the bound of a text is its bytes and 16', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(inputTokensMaxOf(text)).toBe(BigInt(new TextEncoder().encode(text).length) + 16n)
    }),
  )
})
