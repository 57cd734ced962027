/** Whether something outside answers: asked again and again, so that operators hear of it before a caller does. */
import { type Clock, sleep, within } from '../platform/clock.ts'

export type Watch = {
  readonly name: WatchedName
  isUp(): boolean
  /** Safe to call twice. */
  stop(): Promise<void>
}

export type WatchedName = 'postgres' | 'registry'
export type Watched = { name: WatchedName; look(): Promise<unknown> }

const lookEveryMs = 1_000
const lookMsMax = 2_000

/** Taken to be up until a look fails. `onChange` is told when it goes, with the error, and when it is back. */
export function watch(
  { name, look }: Watched,
  clock: Clock,
  onChange: (name: WatchedName, isUp: boolean, error?: unknown) => void,
): Watch {
  const stopping = new AbortController()
  let isUp = true

  async function goOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      const error = await within(clock, look(), lookMsMax, () => new Error(`no answer within ${lookMsMax} ms`)).then(
        () => undefined,
        (failed: unknown) => failed ?? new Error('it failed without saying why'),
      )
      if (stopping.signal.aborted) return
      if (isUp !== (error === undefined)) {
        isUp = error === undefined
        onChange(name, isUp, error)
      }
      await sleep(clock, lookEveryMs, stopping.signal)
    }
  }

  const done = goOn()
  return {
    name,
    isUp: () => isUp,
    async stop() {
      stopping.abort()
      await done
    },
  }
}
