/** The count is what a parser makes of a text, wherever the text is cut. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonValueCounter } from './json-values.ts'

const counted = (text: string, cuts: readonly number[] = []): number => {
  const count = jsonValueCounter()
  const bytes = Buffer.from(text)
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return Math.max(...places.map((place, nth) => count(bytes.subarray(place, places[nth + 1]))))
}

/** Lists and objects that are empty stand for one more. */
const valuesIn = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 1
  const inner = Object.values(value)
  return inner.length === 0 ? 2 : inner.reduce((sum: number, one) => sum + valuesIn(one), 1)
}

test.each([
  ['1', 1],
  ['[]', 2],
  ['{"a":1}', 2],
  ['[1,2,3]', 4],
  ['["a,b[c{d"]', 2],
  ['["a\\",b\\\\",1]', 3],
  ['["\\\\\\"[",{"é\\"{":"ü,"}]', 4],
])('%s has %i', (text, values) => expect(counted(text)).toBe(values))

test('any text, cut anywhere, has as many as a parser makes of it', () =>
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(fc.nat()), fc.boolean(), (value, cuts, isWide) => {
      const text = isWide ? JSON.stringify(value, null, 2) : JSON.stringify(value)
      expect(counted(text, cuts)).toBe(valuesIn(JSON.parse(text)))
    }),
  ))
