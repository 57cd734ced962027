import { expect, test } from 'vitest'
import type { Provider } from './capability.ts'
import { routeFor } from './routing.ts'

/** A provider that serves generate.text with the given models. */
const provider = (name: string, ...models: string[]): Provider => ({
  name,
  pool: 'remote',
  modelFor(capability, wanted) {
    if (capability !== 'generate.text') return undefined
    return wanted === undefined ? models[0] : models.find((model) => model === wanted)
  },
  call: () => Promise.resolve({ ok: false, code: 'PROVIDER_UNAVAILABLE' }),
  close: () => Promise.resolve(),
})
const steps = (wanted: string | undefined, ...providers: Provider[]) =>
  routeFor('generate.text', wanted, providers).map(({ provider: name, model }) => `${name}/${model}`)

test('providers stand in the order they are configured, each with its first model', () => {
  expect(steps(undefined, provider('a', 'small', 'large'), provider('b', 'tiny'))).toEqual(['a/small', 'b/tiny'])
})

test('with a wanted model only those that have it', () => {
  expect(steps('large', provider('a', 'small', 'large'), provider('b', 'tiny'))).toEqual(['a/large'])
})

test('there is no route for what nobody serves', () => {
  expect(steps('huge', provider('a', 'small'))).toEqual([])
  expect(steps(undefined)).toEqual([])
  expect(routeFor('classify.sentiment', undefined, [provider('a', 'small')])).toEqual([])
})

test('a route never comes back to a provider, and ends after four', () => {
  const many = ['a', 'a', 'b', 'c', 'b', 'd', 'e'].map((name) => provider(name, 'small'))
  expect(steps(undefined, ...many)).toEqual(['a/small', 'b/small', 'c/small', 'd/small'])
})

test('of two with the same name the first stands in the route', () => {
  expect(steps(undefined, provider('a', 'small'), provider('a', 'large'))).toEqual(['a/small'])
})
