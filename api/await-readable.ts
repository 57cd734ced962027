/** Waits until something has become readable: listens first, then looks, so that no wake-up falls in between. */
import type { Clock } from '../platform/clock.ts'
import { isFailure } from '../platform/errors.ts'
import type { Relay } from '../platform/relay/relay.ts'

export type Wish<Found> = {
  /** Begins to listen for that it has become readable; what it returns ends that. */
  listen(hear: () => void): () => void
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

/** The first nap of a wait, in milliseconds: a lost wake-up costs no more than this, or than as long as it was waited before. */
export const lookAgainMsMin = 250
/** The longest nap where wake-ups come. It is there for those that get lost, which is rare. */
export const lookAgainMsMax = 2_000
/** The longest nap where the wake-ups of other processes do not come, so that looking is the only way to learn. */
export const lookAgainMsMaxDeaf = 500

/**
 * For looks at something that was done: its caller must hear that it was, so a failure that passes leaves `instead`. To be
 * given to `catch`; throws every other failure again.
 */
export const ifPassing =
  <Value>(instead: Value) =>
  (error: unknown): Value => {
    if (isFailure(error) && error.canRetry) return instead
    throw error
  }

/** What the last look found, whether or not it is what was waited for. */
export async function awaitReadable<Found>(
  parts: { relay: Pick<Relay, 'hearsAll'>; clock: Clock },
  wish: Wish<Found>,
): Promise<Found> {
  const { relay, clock } = parts
  const { look, isThere, signal } = wish
  let isAwake = true
  let wake = () => {}
  const stopListening = wish.listen(() => {
    isAwake = true
    wake()
  })
  try {
    if (wish.cause) {
      isAwake = false
      const { mayBeThere } = await wish.cause()
      isAwake ||= mayBeThere
    }
    const sinceMs = clock.nowMs()
    const untilMs = sinceMs + wish.waitMs
    for (;;) {
      const leftMs = untilMs - clock.nowMs()
      if (!isAwake && leftMs > 0 && !signal.aborted) {
        wish.rest?.()
        // As long again as it was waited already: most answers take milliseconds, and few waits look often.
        const asLongAgainMs = Math.max(clock.nowMs() - sinceMs, lookAgainMsMin)
        await nap(Math.min(leftMs, asLongAgainMs, relay.hearsAll() ? lookAgainMsMax : lookAgainMsMaxDeaf))
      }
      isAwake = false
      const found = await look()
      const nowMs = clock.nowMs()
      // A clock that was set back must not make a wait longer than it was meant to be by all of that.
      if (isThere(found) || signal.aborted || nowMs >= untilMs || nowMs < sinceMs) return found
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
