/**
 * Contents that this process has stored a moment ago, for whoever reads them first: in a process with all roles that is
 * the attempt which follows a submission, and it need not ask the database for what was in memory.
 */
import type { Clock } from '../clock.ts'

export type FreshContents = {
  /** Of a ref under which this content is stored, and no other ever. */
  keep(stored: { tenantId: string; ref: string; content: Uint8Array }): void
  /** Once; undefined when it was not kept, was taken, had to make room, or is older than 2 s. */
  take(wanted: { tenantId: string; ref: string }): Uint8Array | undefined
}

/** Short, because an erasure does not reach what is kept here. */
const keptMs = 2_000
const bytesMaxDefault = 16 * 1024 * 1024

export function freshContents(clock: Clock, bytesMax = bytesMaxDefault): FreshContents {
  type Kept = { tenantId: string; content: Uint8Array; atMs: number }
  /** By ref, oldest first. */
  const kept = new Map<string, Kept>()
  let bytes = 0

  function drop(ref: string): Kept | undefined {
    const found = kept.get(ref)
    kept.delete(ref)
    bytes -= found?.content.byteLength ?? 0
    return found
  }

  /** A clock that was set back makes nothing fresh for longer. */
  const isFresh = ({ atMs }: Kept): boolean => Math.abs(clock.nowMs() - atMs) < keptMs

  return {
    keep({ tenantId, ref, content }) {
      drop(ref)
      kept.set(ref, { tenantId, content, atMs: clock.nowMs() })
      bytes += content.byteLength
      for (const [oldest, one] of kept) {
        if (bytes <= bytesMax && isFresh(one)) break
        drop(oldest)
      }
    },
    take({ tenantId, ref }) {
      if (kept.get(ref)?.tenantId !== tenantId) return undefined
      const found = drop(ref)
      return found && isFresh(found) ? found.content : undefined
    },
  }
}
