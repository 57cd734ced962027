/**
 * Contents that this process has stored a moment ago, for whoever reads them first: in a process with all roles that is
 * the attempt which follows a submission, and then the request that waits for the result. Neither need ask the database
 * for what was in memory.
 */
import type { Clock } from '../clock.ts'

export type FreshContents = {
  /** Of a ref under which this content is stored, and no other ever. */
  keep(stored: { tenantId: string; ref: string; content: Uint8Array }): void
  /** Once; undefined when it was not kept, was taken, had to make room, or is older than `contentFreshMs`. */
  take(wanted: { tenantId: string; ref: string }): Uint8Array | undefined
  /** Forgets everything, at once. */
  close(): void
}

/** Short, because an erasure waits for it. */
export const contentFreshMs = 2_000
const bytesMaxDefault = 16 * 1024 * 1024

export function freshContents(clock: Clock, bytesMax = bytesMaxDefault): FreshContents {
  type Kept = { tenantId: string; content: Uint8Array; atMs: number }
  /** By ref, oldest first. */
  const kept = new Map<string, Kept>()
  let bytes = 0
  let cancelSweep: (() => void) | undefined

  function drop(ref: string): Kept | undefined {
    const found = kept.get(ref)
    kept.delete(ref)
    bytes -= found?.content.byteLength ?? 0
    return found
  }

  /** Of what was kept before the clock was set back nobody knows how old it is. */
  function isFresh({ atMs }: Kept): boolean {
    const ageMs = clock.nowMs() - atMs
    return ageMs >= 0 && ageMs < contentFreshMs
  }

  function sweep(): void {
    for (const [ref, one] of kept) if (!isFresh(one)) drop(ref)
    cancelSweep = kept.size > 0 ? clock.after(contentFreshMs, sweep) : undefined
  }

  return {
    keep({ tenantId, ref, content }) {
      drop(ref)
      kept.set(ref, { tenantId, content, atMs: clock.nowMs() })
      bytes += content.byteLength
      for (const oldest of kept.keys()) {
        if (bytes <= bytesMax) break
        drop(oldest)
      }
      // Also when nothing comes any more.
      cancelSweep ??= clock.after(contentFreshMs, sweep)
    },
    take({ tenantId, ref }) {
      if (kept.get(ref)?.tenantId !== tenantId) return undefined
      const found = drop(ref)
      return found && isFresh(found) ? found.content : undefined
    },
    close() {
      cancelSweep?.()
      cancelSweep = undefined
      kept.clear()
      bytes = 0
    },
  }
}
