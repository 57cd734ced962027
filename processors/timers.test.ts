import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Timers } from './timers.ts'

test('falls due in order of time, then of id, and never before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.bigInt(0n, 20n), fc.string({ maxLength: 3 }))),
      fc.bigInt(0n, 20n),
      (added, now) => {
        const timers = new Timers()
        for (const [at, id] of added) timers.add(at, id)
        const sorted = [...added].sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : x > y ? 1 : 0) : a < b ? -1 : 1))
        expect(timers.nextAt()).toBe(sorted[0]?.[0])
        expect([...timers.due(now)]).toEqual(sorted.filter(([at]) => at <= now).map(([, id]) => id))
        expect([...timers.due(1_000n)]).toEqual(sorted.filter(([at]) => at > now).map(([, id]) => id))
        expect(timers.nextAt()).toBeUndefined()
      },
    ),
  )
})

test('what nobody wants any more is forgotten once it is more than half, and the rest falls due as before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.bigInt(0n, 50n), fc.nat(300), fc.boolean()), { minLength: 64, maxLength: 400 }),
      (added) => {
        const timers = new Timers()
        const wanted = new Set(added.filter(([, , isWanted]) => isWanted).map(([, id]) => String(id)))
        for (const [at, id] of added) timers.add(at, String(id))
        timers.prune(wanted.size, (id) => wanted.has(id))
        const isPruned = added.length > 2 * wanted.size
        const left = isPruned ? added.filter(([, id]) => wanted.has(String(id))) : added
        expect(timers.size).toBe(left.length)
        const sorted = left
          .map(([at, id]): [bigint, string] => [at, String(id)])
          .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : x > y ? 1 : 0) : a < b ? -1 : 1))
        expect([...timers.due(1_000n)]).toEqual(sorted.map(([, id]) => id))
      },
    ),
  )
})

test('however many come and go, no more are remembered than twice those that are wanted', () => {
  const timers = new Timers()
  const open = new Set<string>()
  for (let n = 0; n < 20_000; n++) {
    open.add(`job-${n}`)
    timers.add(3_600_000_000n + BigInt(n), `job-${n}`)
    if (n >= 100) open.delete(`job-${n - 100}`)
    timers.prune(open.size, (id) => open.has(id))
    expect(timers.size).toBeLessThanOrEqual(201)
  }
})
