/**
 * A process that can die or stand still at any await. It reaches the world only through ports and a clock; once it is
 * dead nothing comes back from them, and while it is paused everything that comes back waits.
 */
import type { Clock } from '../../platform/clock.ts'
import type { Scheduler } from './scheduler.ts'

export type SimProcess = {
  readonly name: string
  readonly clock: Clock
  /** The same port, cut off when this process dies. Methods that answer promises, and what those promises hold, are cut off, too. */
  port<Port extends object>(port: Port): Port
  isAlive(): boolean
  isPaused(): boolean
  kill(): void
  /** Nothing reaches the process until then; what was to, reaches it after. */
  pause(forMs: number): void
  /** Moves this process's clock against the true time. */
  skew(byMs: number): void
  /** Its clock shows the true time again. */
  setRight(): void
}

export function simProcess(name: string, scheduler: Scheduler, onEvent: () => void): SimProcess {
  let isAlive = true
  let pausedToMs = 0
  let skewMs = 0

  /** Goes on in this process: now, later, or never. */
  function inside(run: () => void): void {
    if (!isAlive) return
    const waitMs = pausedToMs - scheduler.nowMs()
    if (waitMs > 0) {
      scheduler.after(waitMs, () => inside(run))
      return
    }
    onEvent()
    run()
  }

  const never = new Promise<never>(() => {})

  function port<Port extends object>(target: Port): Port {
    return new Proxy(target, {
      get(on, key) {
        const value: unknown = Reflect.get(on, key, on)
        if (typeof value !== 'function') return value
        return (...given: unknown[]) => {
          if (!isAlive) return never
          const answer: unknown = Reflect.apply(value, on, given)
          return answer instanceof Promise ? delivered(answer) : answer
        }
      },
    })
  }

  function delivered(answer: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => inside(() => resolve(isPort(value) ? port(value) : value)),
        (error: unknown) => inside(() => reject(error)),
      )
    })
  }

  return {
    name,
    clock: {
      nowMs: () => Math.floor(scheduler.nowMs() + skewMs),
      after: (delayMs, run) => scheduler.after(delayMs, () => inside(run)),
    },
    port,
    isAlive: () => isAlive,
    isPaused: () => pausedToMs > scheduler.nowMs(),
    kill() {
      isAlive = false
    },
    pause(forMs) {
      pausedToMs = Math.max(pausedToMs, scheduler.nowMs() + forMs)
    },
    skew(byMs) {
      skewMs += byMs
    },
    setRight() {
      skewMs = 0
    },
  }
}

/** A tenure, for example: an object with methods of its own. */
const isPort = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).some((member) => typeof member === 'function')
