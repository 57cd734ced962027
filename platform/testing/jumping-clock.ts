/** A clock for tests of what takes long, or depends on which of two timers is first. */
import type { Clock } from '../clock.ts'

export type JumpingClock = Clock & {
  /** Lets time pass until `work` has ended. */
  run<Result>(work: Promise<Result>): Promise<Result>
}

/**
 * Time that stands still until every promise has settled as far as it can, then jumps to the next timer: how fast the
 * machine is makes no difference. Timers come `earlyMs` too early, as Node's do by up to a millisecond.
 */
export function jumpingClock({ earlyMs = 0 } = {}): JumpingClock {
  let timeMs = Date.parse('2026-11-01T12:00:00Z')
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    nowMs: () => Math.floor(timeMs),
    after(delayMs, run) {
      const timer = { at: timeMs + delayMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async run(work) {
      let isDone = false
      const ended = work.finally(() => (isDone = true))
      ended.catch(() => undefined)
      while (!isDone) {
        await new Promise(setImmediate)
        const [next] = [...timers].sort((a, b) => a.at - b.at)
        if (isDone || !next) continue
        timers.delete(next)
        timeMs = Math.max(timeMs, next.at - earlyMs)
        next.run()
      }
      return ended
    },
  }
}
