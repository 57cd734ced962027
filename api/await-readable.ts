/** Waits until something has become readable: listens first, then looks, so that no wake-up falls in between. */
import type { Clock } from '../platform/clock.ts'
import type { Relay } from '../platform/relay/relay.ts'

export type Wish<Found> = {
  /** Published when it has become readable. */
  topic: string
  look(): Promise<Found>
  isThere(found: Found): boolean
  /** 0 looks once. */
  waitMs: number
  /** Ends the wait early with what was last found. */
  signal: AbortSignal
  /** Called before it waits. */
  rest?: (() => void) | undefined
  /** Runs after listening has begun and causes what is waited for; then the first look waits for a wake-up. */
  cause?(): Promise<{ mayBeThere: boolean }>
}

/** What the last look found, whether or not it is what was waited for. */
export async function awaitReadable<Found>(parts: { relay: Relay; clock: Clock }, wish: Wish<Found>): Promise<Found> {
  const { relay, clock } = parts
  const { look, isThere, signal } = wish
  let isAwake = true
  let wake = () => {}
  const stopListening = relay.listen(wish.topic, () => {
    isAwake = true
    wake()
  })
  try {
    if (wish.cause) {
      isAwake = false
      const { mayBeThere } = await wish.cause()
      isAwake ||= mayBeThere
    }
    const untilMs = clock.nowMs() + wish.waitMs
    for (;;) {
      const leftMs = untilMs - clock.nowMs()
      if (!isAwake && leftMs > 0 && !signal.aborted) {
        wish.rest?.()
        await nap(Math.min(leftMs, relay.lookAgainMs))
      }
      isAwake = false
      const found = await look()
      if (isThere(found) || signal.aborted || clock.nowMs() >= untilMs) return found
    }
  } finally {
    stopListening()
  }

  function nap(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(forMs, end)
      signal.addEventListener('abort', end, { once: true })
      wake = end
      function end() {
        cancel()
        signal.removeEventListener('abort', end)
        wake = () => {}
        resolve()
      }
    })
  }
}
