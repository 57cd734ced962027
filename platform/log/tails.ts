/**
 * Where the log ends, as far as this process knows, and who waits for more. Writes of this process are noted as they
 * happen and wake their readers at once; for the writes of others one look at all partitions serves every waiting
 * reader, and only while somebody waits.
 */
import { type Clock, sleep } from '../clock.ts'
import type { ReadOptions } from './log.ts'

export type Ends = { intakeEnd: bigint; seq: bigint; directoryEnd: bigint }

export type Tails = {
  /** Notes what is known to be committed; ends only ever grow. */
  note(partition: number, ends: Partial<Ends>): void
  of(partition: number): Ends
  /** Resolves true when `isThere` holds, false when the wait ends first: time, signal or close. */
  wait(isThere: () => boolean, options: ReadOptions): Promise<boolean>
  close(): Promise<void>
}

export type TailsParts = {
  clock: Clock
  /** Between two looks while somebody waits, in milliseconds. */
  pollMs: number
  /** Looks at all partitions and notes what it finds. A failure costs one look. */
  look(): Promise<void>
}

export function tails({ clock, pollMs, look }: TailsParts): Tails {
  const known = new Map<number, Ends>()
  const waiting = new Set<() => void>()
  const closing = new AbortController()
  let polling: Promise<void> | undefined

  async function poll(): Promise<void> {
    while (waiting.size > 0 && !closing.signal.aborted) {
      await sleep(clock, pollMs, closing.signal)
      if (waiting.size > 0 && !closing.signal.aborted) await look().catch(() => undefined)
    }
    polling = undefined
  }

  const of = (partition: number): Ends => known.get(partition) ?? { intakeEnd: 0n, seq: 0n, directoryEnd: 0n }
  const larger = (a: bigint, b: bigint | undefined): bigint => (b !== undefined && b > a ? b : a)

  return {
    of,
    note(partition, ends) {
      const before = of(partition)
      const after: Ends = {
        intakeEnd: larger(before.intakeEnd, ends.intakeEnd),
        seq: larger(before.seq, ends.seq),
        directoryEnd: larger(before.directoryEnd, ends.directoryEnd),
      }
      known.set(partition, after)
      const hasGrown =
        after.intakeEnd > before.intakeEnd || after.seq > before.seq || after.directoryEnd > before.directoryEnd
      if (hasGrown) for (const wake of [...waiting]) wake()
    },
    wait(isThere, { waitMs, signal }) {
      if (isThere()) return Promise.resolve(true)
      if (waitMs <= 0 || signal?.aborted || closing.signal.aborted) return Promise.resolve(false)
      return new Promise((resolve) => {
        const cancel = clock.after(waitMs, giveUp)
        signal?.addEventListener('abort', giveUp, { once: true })
        closing.signal.addEventListener('abort', giveUp, { once: true })
        waiting.add(wake)
        polling ??= poll()
        function wake() {
          if (isThere()) end(true)
        }
        function giveUp() {
          end(false)
        }
        function end(isFound: boolean) {
          cancel()
          signal?.removeEventListener('abort', giveUp)
          closing.signal.removeEventListener('abort', giveUp)
          waiting.delete(wake)
          resolve(isFound)
        }
      })
    },
    async close() {
      closing.abort()
      await polling
    },
  }
}
