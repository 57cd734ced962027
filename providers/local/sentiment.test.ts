import { expect, test } from 'vitest'
import { sentimentOf } from './sentiment.ts'

test('the further from neutral a text sounds, the surer the answer', () => {
  const answers = ['good', 'very good', 'very good and wonderful', 'very good and wonderful, I love it!!!'].map(
    sentimentOf,
  )
  expect(answers.every(({ sentiment }) => sentiment === 'positive')).toBe(true)
  const confidences = answers.map(({ confidence }) => confidence)
  expect(confidences).toEqual([...confidences].sort((a, b) => a - b))
  expect(new Set(confidences).size).toBe(4)
})

test('a text without anything it knows is neutral for certain', () => {
  expect(sentimentOf('The parcel has a label.')).toEqual({ sentiment: 'neutral', score: 0, confidence: 1, words: 5 })
  expect(sentimentOf('😀')).toMatchObject({ sentiment: 'neutral', words: 1 })
  expect(sentimentOf(' ')).toMatchObject({ sentiment: 'neutral', words: 0 })
})

test('negation turns a word round', () => {
  expect(sentimentOf('The service is good.').score).toBeGreaterThan(0)
  expect(sentimentOf('The service is not good.').score).toBeLessThan(0)
})

test('it reads the first thousand words', () => {
  expect(sentimentOf(`${'word '.repeat(1_000)} horrible`)).toMatchObject({ sentiment: 'neutral', words: 1_000 })
  expect(sentimentOf(`horrible ${'word '.repeat(2_000)}`)).toMatchObject({ sentiment: 'negative', words: 1_000 })
})

test('words that are names of things in JavaScript are words like any other', () => {
  expect(sentimentOf('constructor __proto__ hasOwnProperty toString valueOf')).toMatchObject({ score: 0, words: 5 })
})
