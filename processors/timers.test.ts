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
        expect(timers.due(now)).toEqual(sorted.filter(([at]) => at <= now).map(([, id]) => id))
        expect(timers.due(1_000n)).toEqual(sorted.filter(([at]) => at > now).map(([, id]) => id))
        expect(timers.nextAt()).toBeUndefined()
      },
    ),
  )
})
