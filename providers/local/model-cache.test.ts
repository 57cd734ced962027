import { expect, test } from 'vitest'
import type { LinearModel } from './linear-model.ts'
import { modelCache } from './model-cache.ts'
import { PoolError } from './worker-pool.ts'

const never = new AbortController().signal
const bytes = (text: string) => new TextEncoder().encode(text)
const modelOf = (content: Uint8Array): LinearModel => ({
  labels: [new TextDecoder().decode(content)],
  weights: { values: new Float32Array(25), labelCount: 2, dimensions: 1 }, // 100 bytes
  temperature: 1,
})

/** Fits by hand: `finish` ends the oldest fit, `begun` says which were asked for. */
function handFits() {
  const begun: string[] = []
  const open: { finish(): void; fail(): void }[] = []
  return {
    begun,
    finish: () => open.shift()?.finish(),
    fail: () => open.shift()?.fail(),
    fit(content: Uint8Array) {
      begun.push(new TextDecoder().decode(content))
      const { promise, resolve, reject } = Promise.withResolvers<LinearModel>()
      const one = { finish: () => resolve(modelOf(content)), fail: () => reject(new Error('out of memory')) }
      open.push(one)
      return {
        result: promise,
        drop() {
          open.splice(open.indexOf(one), 1)
          reject(new PoolError('The task was dropped.'))
          return true
        },
      }
    },
  }
}

test('first uses at the same time fit once, and later ones not at all', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 1_000, fit: fits.fit })
  const first = [cache.model('a', bytes('a'), never), cache.model('a', bytes('a'), never)]
  fits.finish()
  const [one, two] = await Promise.all(first)
  expect(one).toBe(two)
  expect(await cache.model('a', bytes('a'), never)).toBe(one)
  expect(fits.begun).toEqual(['a'])
})

test('beyond its bytes the least recently used is given up', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 250, fit: fits.fit })
  const use = async (name: string) => {
    const model = cache.model(name, bytes(name), never)
    fits.finish()
    await model
  }
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await use(name)
  expect(fits.begun).toEqual(['a', 'b', 'c', 'b'])
})

test('a model larger than the cache is kept while it is the last used', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 1, fit: fits.fit })
  for (const name of ['a', 'a', 'b', 'a']) {
    const model = cache.model(name, bytes(name), never)
    fits.finish()
    await model
  }
  expect(fits.begun).toEqual(['a', 'b', 'a'])
})

test('a fit that failed is made again', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 1_000, fit: fits.fit })
  const failing = cache.model('a', bytes('a'), never)
  fits.fail()
  await expect(failing).rejects.toThrow('out of memory')
  const again = cache.model('a', bytes('a'), never)
  fits.finish()
  expect((await again).labels).toEqual(['a'])
})

test('a fit is dropped when the last who waits for it leaves, not before', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 1_000, fit: fits.fit })
  const [one, two] = [new AbortController(), new AbortController()]
  const waiting = [cache.model('a', bytes('a'), one.signal), cache.model('a', bytes('a'), two.signal)]
  one.abort()
  await expect(waiting[0]).rejects.toThrow(PoolError)
  two.abort()
  await expect(waiting[1]).rejects.toThrow(PoolError)
  const next = cache.model('a', bytes('a'), never)
  fits.finish()
  expect((await next).labels).toEqual(['a'])
  expect(fits.begun).toEqual(['a', 'a'])
})

test('who leaves takes the fit from nobody who stays', async () => {
  const fits = handFits()
  const cache = modelCache({ bytesMax: 1_000, fit: fits.fit })
  const leaving = new AbortController()
  const left = cache.model('a', bytes('a'), leaving.signal)
  const stayed = cache.model('a', bytes('a'), never)
  leaving.abort()
  await expect(left).rejects.toThrow(PoolError)
  fits.finish()
  expect((await stayed).labels).toEqual(['a'])
  expect(fits.begun).toEqual(['a'])
})
