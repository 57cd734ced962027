import { expect, test } from 'vitest'
import { temperatureOf } from './temperature.ts'

/** `right` of `count` predictions are right, all equally sure of themselves. */
const predictions = (count: number, right: number, logit: number) =>
  Array.from({ length: count }, (_, index) => ({ logits: Float64Array.of(logit, 0), label: index < right ? 0 : 1 }))
const confidence = (logit: number, temperature: number) => 1 / (1 + Math.exp(-logit / temperature))

test.each([
  ['surer than it is right', 8],
  ['less sure than it is right', 0.5],
])('a model that is %s comes out as sure as it is right', (_, logit) => {
  expect(confidence(logit, temperatureOf(predictions(10_000, 8_000, logit)))).toBeCloseTo(0.8, 2)
})

test('a few right predictions do not make it certain', () => {
  expect(temperatureOf(predictions(6, 6, 2))).toBeGreaterThan(0.3)
  expect(temperatureOf(predictions(6, 6, 2))).toBeLessThan(1)
})

test('without predictions nothing changes', () => {
  expect(temperatureOf([])).toBe(1)
})
