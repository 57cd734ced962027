/**
 * Fitted models by the hash of their label set: fitted once, shared by all threads, the least recently used given up first.
 * Only who brings the label set is given its model: once the set is erased, nobody can.
 */
import type { LinearModel } from './linear-model.ts'
import { type Pending, PoolError } from './worker-pool.ts'

export type ModelCache = {
  /**
   * The model of this content, fitted at first use; calls meanwhile wait for the same fit. A fit that failed is made again by
   * the next call. Rejects with PoolError as soon as `signal` aborts; a fit that nobody waits for any more is dropped if it
   * has not begun, and kept for later if it has.
   */
  model(hash: string, content: Uint8Array, signal: AbortSignal): Promise<LinearModel>
}

type Entry = { fit: Pending<LinearModel>; waiting: number; bytes: number }

/** `bytesMax` bounds what is kept; the one that was used last stays even when it is larger. */
export function modelCache({
  bytesMax,
  fit,
}: {
  bytesMax: number
  fit: (content: Uint8Array) => Pending<LinearModel>
}): ModelCache {
  const entries = new Map<string, Entry>() // Least recently used first.

  function entryOf(hash: string, content: Uint8Array): Entry {
    const known = entries.get(hash)
    const entry = known ?? { fit: fit(content), waiting: 0, bytes: 0 }
    entries.delete(hash)
    entries.set(hash, entry)
    if (!known) {
      const forget = () => {
        if (entries.get(hash) === entry) entries.delete(hash)
      }
      entry.fit.result.then(({ weights }) => keep(entry, weights.values.byteLength), forget)
    }
    return entry
  }

  function keep(entry: Entry, bytes: number): void {
    entry.bytes = bytes
    let total = [...entries.values()].reduce((sum, each) => sum + each.bytes, 0)
    for (const [hash, each] of entries) {
      if (total <= bytesMax) return
      if (each === entry || each.bytes === 0) continue // Under way: not ours to give up.
      entries.delete(hash)
      total -= each.bytes
    }
  }

  return {
    async model(hash, content, signal) {
      const entry = entryOf(hash, content)
      entry.waiting += 1
      const aborted = Promise.withResolvers<never>()
      const abort = () => {
        if (entry.waiting === 1 && entry.fit.drop() && entries.get(hash) === entry) entries.delete(hash)
        aborted.reject(new PoolError('Nobody waits any more.'))
      }
      signal.addEventListener('abort', abort, { once: true })
      try {
        return await Promise.race([entry.fit.result, aborted.promise])
      } finally {
        entry.waiting -= 1
        signal.removeEventListener('abort', abort)
      }
    },
  }
}
