/**
 * Virtual time. One queue of what is to happen, in order of time; what is due at the same moment goes in an order drawn
 * from the seed. Between two events every promise that can go on does, so a run depends on its seed alone.
 */
import type { Clock } from '../../platform/clock.ts'
import type { SimRandom } from './random.ts'

type Event = { atMs: number; tie: number; run: () => void; isTaken: boolean }

export type Scheduler = {
  /** The one true time, in milliseconds; processes have clocks of their own. */
  nowMs(): number
  after(delayMs: number, run: () => void): () => void
  /** Runs events until `isDone`, or until nothing is left, or `untilMs` is reached. */
  run(isDone: () => boolean, untilMs: number): Promise<void>
  /** Called after every event, when all promises have gone as far as they can. */
  onStep(look: () => void): void
  /** Events run so far. */
  steps(): number
}

/** What real time is left to a run: a macrotask is the only point at which every promise has settled. */
const promisesSettled = (
  (later) => () =>
    new Promise<void>((resolve) => void later(resolve))
)(setImmediate)
const stepsMax = 5_000_000

export function scheduler(startMs: number, random: SimRandom): Scheduler {
  const heap: Event[] = []
  const looks: (() => void)[] = []
  let now = startMs
  let steps = 0

  const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie)

  function push(event: Event): void {
    let at = heap.push(event) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up]
      if (!parent || !isBefore(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  function pop(): Event | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    let at = 0
    for (;;) {
      let down = at * 2 + 1
      const left = heap[down]
      const right = heap[down + 1]
      if (!left) break
      if (right && isBefore(right, left)) down += 1
      const child = right && isBefore(right, left) ? right : left
      if (!isBefore(child, last)) break
      heap[at] = child
      at = down
    }
    heap[at] = last
    return first
  }

  return {
    nowMs: () => now,
    after(delayMs, run) {
      const event = { atMs: now + Math.max(0, delayMs), tie: random.fraction(), run, isTaken: false }
      push(event)
      return () => {
        event.isTaken = true
      }
    },
    async run(isDone, untilMs) {
      await promisesSettled()
      while (!isDone()) {
        const event = pop()
        if (!event) return
        if (event.isTaken) continue
        if (event.atMs > untilMs) {
          push(event)
          return
        }
        now = event.atMs
        steps += 1
        if (steps > stepsMax) throw new Error(`The simulation is still busy after ${stepsMax} steps.`)
        event.run()
        await promisesSettled()
        for (const look of looks) look()
      }
    },
    onStep: (look) => void looks.push(look),
    steps: () => steps,
  }
}

/** The true time as a clock, for what is no process: the log's own machine, providers. */
export const trueClock = ({ nowMs, after }: Scheduler): Clock => ({ nowMs, after })
