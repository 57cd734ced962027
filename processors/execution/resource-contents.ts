/**
 * Contents of the resources that jobs work with, kept in memory because thousands of jobs a second use the same few, and
 * one has up to 64 MiB. They are handed on only while the vault has them: it is asked for that, not for the content, and
 * what it says holds for `contentFreshMs`, which an erasure waits out before it is called done.
 */
import type { Clock } from '../../platform/clock.ts'
import { contentFreshMs } from '../../platform/vault/fresh-content.ts'
import type { PayloadVault } from '../../platform/vault/vault.ts'

export type Wanted = { tenantId: string; ref: string }

export type ResourceContents = {
  /**
   * Undefined when the vault does not have it. That is never remembered, as the tenant may store it again under the same
   * ref, and neither is a failure of the vault, which rejects.
   */
  content(wanted: Wanted): Promise<Uint8Array | undefined>
  /** Forgets everything, at once. */
  close(): void
}

/** Contents kept, most recently used. */
const keptMax = 8

export function resourceContents({
  vault,
  read,
  clock,
}: {
  vault: Pick<PayloadVault, 'has'>
  /** Reads from the vault. */
  read: (wanted: Wanted) => Promise<Uint8Array | undefined>
  clock: Clock
}): ResourceContents {
  type Kept = { content: Promise<Uint8Array | undefined>; askedAtMs: number; isOld: boolean; cancel(): void }
  /** Least recently used first. */
  const kept = new Map<string, Kept>()

  /** By the timer, whatever the clock is set to; and by the clock, because a timer of a busy process is late. */
  function isCurrent({ isOld, askedAtMs }: Kept): boolean {
    const ageMs = clock.nowMs() - askedAtMs
    return !isOld && ageMs >= 0 && ageMs < contentFreshMs
  }

  async function ask(wanted: Wanted, before: Kept | undefined): Promise<Uint8Array | undefined> {
    const content = await before?.content.catch(() => undefined)
    if (content && (await vault.has(wanted.tenantId, wanted.ref))) return content
    return read(wanted)
  }

  function asked(key: string, wanted: Wanted): Kept {
    // Before the vault is asked: what it says is at least this new.
    const askedAtMs = clock.nowMs()
    const cancel = clock.after(contentFreshMs, () => {
      one.isOld = true
    })
    const one: Kept = { content: ask(wanted, kept.get(key)), askedAtMs, isOld: false, cancel }
    const forget = () => kept.get(key) === one && drop(key)
    one.content.then((content) => content ?? forget(), forget)
    return one
  }

  function drop(key: string): void {
    kept.get(key)?.cancel()
    kept.delete(key)
  }

  return {
    content(wanted) {
      const key = JSON.stringify([wanted.tenantId, wanted.ref])
      const known = kept.get(key)
      const one = known && isCurrent(known) ? known : asked(key, wanted)
      if (one !== known) drop(key)
      kept.delete(key)
      kept.set(key, one)
      for (const oldest of kept.keys()) {
        if (kept.size <= keptMax) break
        drop(oldest)
      }
      return one.content
    },
    close() {
      for (const key of kept.keys()) drop(key)
    },
  }
}
