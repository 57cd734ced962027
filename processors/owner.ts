/**
 * The owner of one partition: takes requests, outcomes and timers, lets the processors decide, and commits all facts
 * of a batch together with the intake offset. One fold, one writer, one sequence.
 *
 *   acquire (fence) → restore (snapshot, then the tail of facts) → settle what was under way → serve
 *
 * A commit that fails, or whose outcome nobody knows, costs the whole memory of the partition: it is acquired and restored
 * anew, because only the log knows.
 */
import { sleep } from '../platform/clock.ts'
import { isFailure, PlatformError } from '../platform/errors.ts'
import type { Tenure } from '../platform/log/log.ts'
import type { Owner, OwnerHealth, OwnerParts } from './owner-parts.ts'
import { restore } from './restore.ts'
import { type Session, session } from './session.ts'

/** Owns the partition until it is stopped, fenced, or finds a log it cannot trust. */
export function startOwnerOf(partition: number, parts: OwnerParts): Owner {
  const { log, clock, options, takesTurn, onFault } = parts
  const stopping = new AbortController()
  const health: OwnerHealth = {
    partition,
    phase: 'acquiring',
    seq: 0n,
    intakeOffset: 0n,
    openJobs: 0,
    running: 0,
    queued: 0,
    transfersUnderWay: 0,
    restoredFacts: 0,
    restoringFacts: 0,
    indeterminate: 0,
  }
  const done = own()

  async function own(): Promise<void> {
    while (!stopping.signal.aborted) {
      let tenure: Tenure | undefined
      try {
        tenure = await log.acquire(partition)
        const current = await begin(tenure)
        if (current) await serve(current)
      } catch (error) {
        // Fenced: somebody else owns the partition, and fighting over it would only fence them in turn. A gap: the log
        // is not what was committed, or cannot be read, and every decision from here on would be a guess.
        const isStopped =
          isFailure(error, 'LOG_FENCED', 'LOG_GAP', 'RECORD_DAMAGED') || !(error instanceof PlatformError)
        onFault({ partition, error, isStopped, doing: health.phase })
        health.problem = error instanceof Error ? error.message : String(error)
        if (isStopped) {
          health.phase = 'stopped'
          return
        }
        health.phase = 'acquiring'
      } finally {
        // Whatever ended it: what it holds of connections must not be left behind.
        await tenure?.release().catch(() => undefined)
      }
      await sleep(clock, options.reacquireWaitMs, stopping.signal)
    }
    health.phase = 'stopped'
  }

  /** Undefined when it is told to stop before it serves: whose partition this is now settles what was under way. */
  async function begin(tenure: Tenure): Promise<Session | undefined> {
    if (stopping.signal.aborted) return undefined
    health.phase = 'restoring'
    const restored = await restore(tenure, parts, (left) => (health.restoringFacts = left), stopping.signal)
      .catch(async (error: unknown) => {
        // The log has to hear from its own writer that it was fenced: it may give the partition again to whom it belongs.
        if (isFailure(error, 'LOG_FENCED')) await tenure.commit([], tenure.committed.intakeOffset)
        throw error
      })
      .finally(() => (health.restoringFacts = 0))
    if (!restored || stopping.signal.aborted) return undefined
    health.restoredFacts = restored.facts
    return session(tenure, restored, parts, stopping.signal, health)
  }

  async function serve(current: Session): Promise<void> {
    const reading = current.readRequests()
    try {
      current.settleUnderWay()
      await current.step(() => false) // Jobs that waited under the last owner have nobody else to wake this one.
      health.phase = 'serving'
      delete health.problem
      while (!stopping.signal.aborted) {
        await current.work()
        await takesTurn(current.step)
      }
      health.phase = 'draining'
      await current.drain()
    } finally {
      current.end()
      await reading
    }
  }

  return {
    health: () => ({ ...health }),
    async stop() {
      stopping.abort()
      await done
    },
  }
}
