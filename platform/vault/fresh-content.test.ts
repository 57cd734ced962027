import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { freshContents } from './fresh-content.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const stored = (ref: string, text = ref) => ({ tenantId: 'harbor', ref, content: bytes(text) })
const of = (ref: string, tenantId = 'harbor') => ({ tenantId, ref })

function scene(bytesMax?: number) {
  let nowMs = 1_000_000
  const clock: Clock = { nowMs: () => nowMs, after: () => () => {} }
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { fresh: freshContents(clock, bytesMax), pass }
}

test('what was stored is given once, and to its tenant alone', () => {
  const { fresh } = scene()
  fresh.keep(stored('a'))
  expect(fresh.take(of('a', 'other'))).toBeUndefined()
  expect(fresh.take(of('b'))).toBeUndefined()
  expect(fresh.take(of('a'))).toEqual(bytes('a'))
  expect(fresh.take(of('a'))).toBeUndefined()
})

test.each([
  [1_999, true],
  [2_000, false],
  [-2_000, false],
])('%d ms later it is there: %s', (ms, isThere) => {
  const { fresh, pass } = scene()
  fresh.keep(stored('a'))
  pass(ms)
  expect(fresh.take(of('a')) !== undefined).toBe(isThere)
})

test('the oldest makes room, and one that is larger than all the room is not kept', () => {
  const { fresh } = scene(10)
  fresh.keep(stored('a', '1234'))
  fresh.keep(stored('b', '1234'))
  fresh.keep(stored('c', '1234'))
  expect(['a', 'b', 'c'].map((ref) => fresh.take(of(ref)) !== undefined)).toEqual([false, true, true])
  fresh.keep(stored('d', '12345678901'))
  expect(fresh.take(of('d'))).toBeUndefined()
  fresh.keep(stored('e', '1234567890'))
  expect(fresh.take(of('e')), 'nothing of what is gone is counted').toBeDefined()
})
