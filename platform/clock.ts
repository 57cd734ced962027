/** Time and chance as parameters: nothing in the core reaches for a real clock, timer or random source. */
import { randomFillSync } from 'node:crypto'
import type { EpochMs } from '../schemas/units.ts'

export type Clock = {
  nowMs(): EpochMs
  /** Calls `run` once, no sooner than `delayMs` from now; the returned function takes it back. */
  after(delayMs: number, run: () => void): () => void
}

export type Random = {
  /** Uniform in [0, 1). */
  fraction(): number
  bytes(size: number): Uint8Array
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

const pool = Buffer.alloc(4_096)
let poolAt = pool.length

/** Drawn from the system a page at a time, because each call costs more than what most callers want; no byte is given twice. */
function randomBytes(size: number): Buffer {
  if (size > pool.length) return randomFillSync(Buffer.alloc(size))
  if (poolAt + size > pool.length) {
    randomFillSync(pool)
    poolAt = 0
  }
  const bytes = Buffer.from(pool.subarray(poolAt, poolAt + size))
  pool.fill(0, poolAt, poolAt + size)
  poolAt += size
  return bytes
}

export const systemRandom: Random = {
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: randomBytes,
}

/** Resolves after `delayMs`, or at once when `signal` is aborted; never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const cancel = clock.after(delayMs, done)
    signal?.addEventListener('abort', done, { once: true })
    function done() {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
  })
}

/** What `wanted` comes to, or what `late` makes when that takes longer than `waitMs`; then nobody waits for it any more. */
export async function within<Wanted>(
  clock: Clock,
  wanted: Promise<Wanted>,
  waitMs: number,
  late: () => Error,
): Promise<Wanted> {
  const over = Promise.withResolvers<never>()
  const cancel = clock.after(waitMs, () => over.reject(late()))
  try {
    return await Promise.race([wanted, over.promise])
  } finally {
    cancel()
  }
}
