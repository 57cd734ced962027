import { expect, test } from 'vitest'
import type { Clock } from '../platform/clock.ts'
import { inProcessRelay } from '../platform/relay/relay.ts'
import { awaitReadable, lookAgainMsMax, lookAgainMsMaxDeaf, lookAgainMsMin } from './await-readable.ts'

/** A clock that moves only when it is told to; `naps` are the timers that wait. */
function handClock() {
  let nowMs = 0
  const timers = new Set<{ atMs: number; run: () => void }>()
  const clock: Clock = {
    nowMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    clock,
    naps: () => timers.size,
    async move(byMs: number) {
      nowMs += byMs
      for (const timer of [...timers]) {
        if (timer.atMs > nowMs) continue
        timers.delete(timer)
        timer.run()
      }
      await settle()
    },
    settle,
  }
}

function scene(more: { waitMs?: number; signal?: AbortSignal; hearsAll?: boolean } = {}) {
  const relay = inProcessRelay({ hearsAll: more.hearsAll ?? true })
  const hand = handClock()
  let looks = 0
  let value = 'not yet'
  const wish = {
    listen: (hear: () => void) => relay.listen('it', hear),
    look: async () => {
      looks += 1
      return value
    },
    isThere: (found: string) => found === 'there',
    waitMs: more.waitMs ?? 60_000,
    signal: more.signal ?? new AbortController().signal,
  }
  return {
    ...hand,
    relay,
    wish,
    looks: () => looks,
    set: (text: string) => {
      value = text
    },
    start: () => awaitReadable({ relay, clock: hand.clock }, wish),
  }
}

test('it looks once and answers at once when it is there, or when nobody wants to wait', async () => {
  const there = scene()
  there.set('there')
  expect(await there.start()).toBe('there')
  const impatient = scene({ waitMs: 0 })
  expect(await impatient.start()).toBe('not yet')
  expect([there.looks(), impatient.looks(), impatient.naps()]).toEqual([1, 1, 0])
})

test('a wake-up ends the nap; one for nothing does not end the wait', async () => {
  const { start, settle, relay, set, looks } = scene()
  const waiting = start()
  await settle()
  relay.publish('it', null)
  await settle()
  expect(looks()).toBe(2)
  set('there')
  relay.publish('it', null)
  expect(await waiting).toBe('there')
  expect(looks()).toBe(3)
})

test('a wake-up while it looks is not lost', async () => {
  const { relay, wish, clock, naps } = { ...scene() }
  let looks = 0
  const found = await awaitReadable(
    { relay, clock },
    {
      ...wish,
      async look() {
        looks += 1
        // It becomes readable right after this look has read, and before the wait begins.
        if (looks === 1) relay.publish('it', null)
        return looks === 1 ? 'not yet' : 'there'
      },
    },
  )
  expect([found, looks, naps()]).toEqual(['there', 2, 0])
})

test('a lost wake-up costs one look', async () => {
  const { start, settle, move, set, looks } = scene()
  const waiting = start()
  await settle()
  set('there')
  await move(lookAgainMsMin - 1)
  expect(looks()).toBe(1)
  await move(1)
  expect(await waiting).toBe('there')
})

test.each([
  ['all wake-ups come, seldom', true, lookAgainMsMax, [0, 250, 500, 1_000, 2_000, 4_000, 6_000, 8_000]],
  ['wake-ups of others do not, often', false, lookAgainMsMaxDeaf, [0, 250, 500, 1_000, 1_500, 2_000, 2_500, 3_000]],
])('without any wake-up it looks by itself: where %s', async (_, hearsAll, napMsMax, expected) => {
  const { start, settle, move, set, clock, wish, naps } = scene({ hearsAll })
  const lookedAtMs: number[] = []
  const { look } = wish
  wish.look = async () => {
    lookedAtMs.push(clock.nowMs())
    return look()
  }
  const waiting = start()
  await settle()
  for (let step = 0; lookedAtMs.length < expected.length && step < 100; step++) await move(lookAgainMsMin)
  expect(lookedAtMs).toEqual(expected)
  set('there')
  await move(napMsMax)
  expect([await waiting, naps()]).toEqual(['there', 0])
})

test('the wait ends at its bound, and when nobody waits any more, with what was found last', async () => {
  const bound = scene({ waitMs: 500 })
  const waiting = bound.start()
  await bound.settle()
  await bound.move(500)
  expect(await waiting).toBe('not yet')
  const gone = new AbortController()
  const left = scene({ signal: gone.signal })
  const leaving = left.start()
  await left.settle()
  gone.abort()
  expect(await leaving).toBe('not yet')
  expect([bound.naps(), left.naps()]).toEqual([0, 0])
})

test('what it causes itself is waited for before the first look, unless it may be there already', async () => {
  const { relay, clock, wish, settle, set, looks } = scene()
  const waiting = awaitReadable({ relay, clock }, { ...wish, cause: async () => ({ mayBeThere: false }) })
  await settle()
  expect(looks()).toBe(0)
  set('there')
  relay.publish('it', null)
  expect(await waiting).toBe('there')
  expect(looks()).toBe(1)
  const known = scene()
  known.set('there')
  const { relay: itsRelay, clock: itsClock, wish: itsWish } = known
  expect(
    await awaitReadable(
      { relay: itsRelay, clock: itsClock },
      { ...itsWish, cause: async () => ({ mayBeThere: true }) },
    ),
  ).toBe('there')
})

test('a wake-up while the cause runs is not lost, and a cause that fails leaves no listener behind', async () => {
  const { relay, clock, wish, set, naps } = scene()
  const found = await awaitReadable(
    { relay, clock },
    {
      ...wish,
      cause: async () => {
        set('there')
        relay.publish('it', null)
        return { mayBeThere: false }
      },
    },
  )
  expect([found, naps()]).toEqual(['there', 0])
  let heard = 0
  const listen = (hear: () => void) => {
    heard += 1
    const stop = wish.listen(hear)
    return () => {
      heard -= 1
      stop()
    }
  }
  const failing = awaitReadable({ relay, clock }, { ...wish, listen, cause: () => Promise.reject(new Error('no')) })
  await expect(failing).rejects.toThrow('no')
  expect(heard).toBe(0)
})
