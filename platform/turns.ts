/**
 * Lets a few run and the others wait their turn, for a bounded time. Who does its work in batches finds more to do when its
 * turn comes, so that under load there are fewer and larger batches; alone nobody waits.
 */
import type { Clock } from './clock.ts'

export type TurnsOptions = {
  /** At least 1. */
  atOnceMax: number
  /** Who has waited this long goes ahead all the same: what hangs holds nobody up for longer. */
  waitMsMax: number
}

/** Runs it when its turn comes, in order of asking; resolves and rejects as it does. `othersWait` tells whether any do, as often as it is asked. */
export type Turns = <Result>(run: (othersWait: () => boolean) => Promise<Result>) => Promise<Result>

export function turns(clock: Clock, { atOnceMax, waitMsMax }: TurnsOptions): Turns {
  const waiting = new Set<() => void>()
  let running = 0
  const othersWait = () => waiting.size > 0

  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      const go = () => {
        cancel()
        waiting.delete(go)
        running += 1
        resolve()
      }
      const cancel = clock.after(waitMsMax, go)
      waiting.add(go)
    })

  return async (run) => {
    if (running < atOnceMax) running += 1
    else await turn()
    try {
      return await run(othersWait)
    } finally {
      running -= 1
      const [next] = waiting
      if (running < atOnceMax) next?.()
    }
  }
}
