/**
 * Turns many single calls into few calls over many: everything asked while a batch is under way goes into the next.
 * That is group commit: alone a call waits for nobody, in a crowd one transaction carries them all.
 */
import { type Clock, sleep } from './clock.ts'
import { PlatformError } from './errors.ts'

export type BatcherOptions = {
  /** Items in one batch; at least 1. */
  itemsMax: number
  /** Items waiting; one more is refused with LOG_BUSY. */
  waitingMax: number
  /**
   * As long as it is busy, a batch begins no sooner than `everyMs` after the last one began, so that it is not all that come
   * who come alone. Who comes after a longer pause waits for nobody.
   */
  pace?: { clock: Clock; everyMs: number; isBusy(): boolean }
}

/** Whether what `run` threw is this item's own fault. `run` must be safe to repeat. */
type FaultOf<Item> = { isFaultOf?: (error: unknown, item: Item) => boolean }

/**
 * `run` answers one result per item, in order; when it throws, every item of that batch is rejected with its error. Where
 * that is the fault of some of them, only those are, and `run` is called again with the others.
 */
export function batcher<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  options: BatcherOptions & FaultOf<Item>,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void }
  const waiting: Waiting[] = []
  const { pace, isFaultOf = () => false } = options
  let isRunning = false
  let beganMs = -Infinity

  async function drain(): Promise<void> {
    isRunning = true
    while (waiting.length > 0) {
      if (pace?.isBusy()) {
        const leftMs = beganMs + pace.everyMs - pace.clock.nowMs()
        // A clock that was set back holds nobody up for longer.
        if (leftMs > 0) await sleep(pace.clock, Math.min(leftMs, pace.everyMs))
      }
      if (pace) beganMs = pace.clock.nowMs()
      let batch = waiting.splice(0, options.itemsMax)
      while (batch.length > 0) batch = await settle(batch)
    }
    isRunning = false
  }

  /** Answers those that are to run again: fewer each time. */
  async function settle(batch: readonly Waiting[]): Promise<Waiting[]> {
    try {
      const results = await run(batch.map((w) => w.item))
      if (results.length !== batch.length)
        throw new PlatformError('INTERNAL', { expected: batch.length, got: results.length })
      for (const [index, w] of batch.entries()) w.resolve(results[index] as Result)
      return []
    } catch (error) {
      const guilty = batch.filter((w) => isFaultOf(error, w.item))
      for (const w of guilty.length > 0 ? guilty : batch) w.reject(error)
      return guilty.length > 0 ? batch.filter((w) => !guilty.includes(w)) : []
    }
  }

  return (item) =>
    new Promise<Result>((resolve, reject) => {
      if (waiting.length >= options.waitingMax)
        return reject(new PlatformError('LOG_BUSY', { waiting: waiting.length }))
      waiting.push({ item, resolve, reject })
      if (!isRunning) queueMicrotask(() => (isRunning ? undefined : drain()))
    })
}
