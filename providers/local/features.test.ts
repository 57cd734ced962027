import { expect, test } from 'vitest'
import { featuresOf } from './features.ts'

const dimensions = 2 ** 18
const words = (text: string) => featuresOf(text, dimensions).words
const places = (text: string) => [...featuresOf(text, dimensions).places].sort((a, b) => a - b)

test.each([
  ['words and numbers', 'Order 66 is late', 4],
  ['what joins a word', "don't re-send 100% of it", 5],
  ['scripts that mark vowels', 'हिन्दी में लिखा', 3],
  ['scripts without spaces, by the character', '天気がいい', 5],
  ['emoji, by the piece', 'good 😀👍 ❤️', 4],
  ['nothing but signs', ' ...,;:()[] \n\t', 0],
  ['half a character', '\ud83d', 0],
])('counts %s', (_, text, expected) => {
  expect(words(text)).toBe(expected)
})

test('it sees neither case nor how an accent is written', () => {
  expect(places('CAFÉ Straße')).toEqual(places('cafe\u0301 strasse'.replace('ss', 'ß')))
})

test('the order of words shows, in pairs of neighbours', () => {
  expect(places('dog bites man')).not.toEqual(places('man bites dog'))
})

test('a word in a line that begins with a name is also seen as standing there', () => {
  const plain = new Set(places('x\nsubject late'))
  const named = places('x\nsubject: late')
  expect(named.filter((place) => !plain.has(place)).length).toBe(2)
  expect(named.length).toBe(plain.size + 2)
})

test('a text of any length has a vector of length 1, and the bounds hold', () => {
  for (const text of ['one', 'one two three', 'many words '.repeat(50_000), 'x'.repeat(300_000)]) {
    const features = featuresOf(text, dimensions)
    expect(features.places.length * features.value ** 2).toBeCloseTo(1, 12)
    expect(new Set(features.places).size).toBe(features.places.length)
    expect(features.words).toBeLessThanOrEqual(1_000)
  }
  expect(places('x'.repeat(300_000))).toEqual(places('x'.repeat(40)))
  expect(words('word '.repeat(3_000))).toBe(1_000)
  expect(words(`${' '.repeat(100_000)}late`)).toBe(0)
})
