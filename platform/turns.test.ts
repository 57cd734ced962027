/** Who waits for whom, and for how long. */
import { expect, test } from 'vitest'
import { type Clock, systemClock } from './clock.ts'
import { turns } from './turns.ts'

/** A clock whose timers go off when told to. */
function manualClock() {
  const timers = new Set<() => void>()
  const clock: Clock = {
    nowMs: () => 0,
    after(_, run) {
      timers.add(run)
      return () => void timers.delete(run)
    },
  }
  return { clock, timers, ring: () => [...timers].forEach((run) => void run()) }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

function work() {
  const began: number[] = []
  const ends = new Map<number, PromiseWithResolvers<void>>()
  return {
    began,
    end: (name: number) => ends.get(name)?.resolve(),
    fail: (name: number) => ends.get(name)?.reject(new Error(`${name} failed`)),
    run: (name: number) => () => {
      began.push(name)
      const end = Promise.withResolvers<void>()
      ends.set(name, end)
      return end.promise
    },
  }
}

test('two run, and the others follow in order as one ends, also by failing', async () => {
  const { clock, timers } = manualClock()
  const take = turns(clock, { atOnceMax: 2, waitMsMax: 25 })
  const { began, end, fail, run } = work()
  const all = [1, 2, 3, 4, 5].map((name) => take(run(name)))
  const third = expect(all[2]).rejects.toThrow('3 failed')
  await settled()
  expect(began).toEqual([1, 2])
  end(2)
  await settled()
  expect(began).toEqual([1, 2, 3])
  fail(3)
  await third
  await settled()
  expect(began).toEqual([1, 2, 3, 4])
  end(1)
  await settled()
  expect(began).toEqual([1, 2, 3, 4, 5])
  end(4)
  end(5)
  await Promise.allSettled(all)
  expect(timers.size, 'no timer is left').toBe(0)
})

test('what hangs holds nobody up for longer than the bound, and its end gives no second turn', async () => {
  const { clock, ring } = manualClock()
  const take = turns(clock, { atOnceMax: 1, waitMsMax: 25 })
  const { began, end, run } = work()
  const all = [1, 2, 3].map((name) => take(run(name)))
  await settled()
  expect(began).toEqual([1])
  ring()
  await settled()
  expect(began).toEqual([1, 2, 3])
  const fourth = take(run(4))
  end(2)
  await settled()
  expect(began, 'two still run where one may').toEqual([1, 2, 3])
  end(1)
  end(3)
  await settled()
  expect(began).toEqual([1, 2, 3, 4])
  end(4)
  await Promise.all([...all, fourth])
})

test('who has its turn can ask whether others wait for theirs', async () => {
  const { clock } = manualClock()
  const take = turns(clock, { atOnceMax: 1, waitMsMax: 25 })
  const { end, run } = work()
  let ask = () => true
  const first = take((othersWait) => {
    ask = othersWait
    return run(1)()
  })
  await settled()
  expect(ask()).toBe(false)
  const second = take(run(2))
  expect(ask()).toBe(true)
  end(1)
  await first
  await settled()
  expect(ask()).toBe(false)
  end(2)
  await second
})

test('many at once: never more than two, and every result comes back', async () => {
  const take = turns(systemClock, { atOnceMax: 2, waitMsMax: 10_000 })
  let [now, most] = [0, 0]
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, n) =>
      take(async () => {
        most = Math.max(most, ++now)
        await settled()
        now -= 1
        return n
      }),
    ),
  )
  expect(results).toEqual(Array.from({ length: 200 }, (_, n) => n))
  expect(most).toBe(2)
})
