import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { freshContents } from './fresh-content.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const stored = (ref: string, text = ref) => ({ tenantId: 'harbor', ref, content: bytes(text) })
const of = (ref: string, tenantId = 'harbor') => ({ tenantId, ref })

function scene(bytesMax?: number) {
  let nowMs = 1_000_000
  const timers = new Set<() => void>()
  const clock: Clock = {
    nowMs: () => nowMs,
    after(_, run) {
      timers.add(run)
      return () => void timers.delete(run)
    },
  }
  const pass = (ms: number) => {
    nowMs += ms
  }
  /** Runs what was set; answers whether there was anything. */
  const ring = () => {
    const due = [...timers]
    timers.clear()
    for (const run of due) run()
    return due.length > 0
  }
  return { fresh: freshContents(clock, bytesMax), pass, ring }
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
  [-1, false],
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

test('what nobody takes goes though nothing else happens, and then no timer is left', () => {
  const { fresh, pass, ring } = scene()
  fresh.keep(stored('a'))
  pass(1_500)
  fresh.keep(stored('b'))
  pass(500)
  expect(ring()).toBe(true)
  pass(-500) // Where it would be fresh again if it were there still.
  expect([fresh.take(of('a')), fresh.take(of('b'))]).toEqual([undefined, bytes('b')])
  pass(2_500)
  expect([ring(), ring()]).toEqual([true, false])
  fresh.keep(stored('c'))
  fresh.close()
  expect([fresh.take(of('c')), ring()]).toEqual([undefined, false])
})
