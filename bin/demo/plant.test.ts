import { expect, test } from 'vitest'
import { isPlant, type Plant, plants, spoiler } from './plant.ts'
import { sampleHistory, verify } from './testing/sample-history.ts'

const spoilt = (plant: Plant | undefined) => {
  const spoil = spoiler(plant)
  return sampleHistory().flatMap(({ partition, fact }) => {
    const passed = spoil(fact)
    return passed ? [{ partition, fact: passed }] : []
  })
}

test('without a plant everything is passed on as it is', () => {
  expect(spoilt(undefined)).toEqual(sampleHistory())
})

test.each(Object.keys(plants).filter(isPlant))('%s spoils one fact, and the verifier finds it', async (plant) => {
  const right = sampleHistory()
  const facts = spoilt(plant)
  const untouched = facts.filter(({ fact }) =>
    right.some((other) => other.fact.eventId === fact.eventId && same(other.fact, fact)),
  )
  expect(untouched.length).toBe(right.length - 1)
  expect((await verify(facts)).problemCount).toBeGreaterThan(0)
})

const same = (a: object, b: object): boolean => toText(a) === toText(b)
const toText = (value: object): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one))
