/**
 * A log whose readers in this process are handed what this process commits, from memory: they need not ask brokers or a
 * database for what was just written here, and have it sooner. What is handed over is committed, whole, and stands at the
 * offset that it says. Only readers that wait are handed anything; whoever asks with `waitMs` 0 is told by the log itself.
 */
import type { Clock } from '../clock.ts'
import { advance, checkPartition, checkRead } from './checks.ts'
import type { FactCursor, FactEnds, FactRecord, Log, StoredFact, Tenure } from './log.ts'

export type HandOverOptions = {
  clock: Clock
  /** Of values that are kept for readers that are a little behind, of all partitions; default 16 MiB. */
  bytesMax?: number
}

const bytesMaxDefault = 16 * 1024 * 1024
/** An owner that was replaced is the last to know: so often its readers look into the log itself. */
const lookEveryMs = 1_000

type Kept = { commits: (readonly StoredFact[])[]; bytes: number }

/** The same contract as `log`. Closing it closes `log`. */
export function withHandOver(log: Log, { clock, bytesMax = bytesMaxDefault }: HandOverOptions): Log {
  const bytesPerPartitionMax = bytesMax / log.partitionCount
  /** By partition the tenure acquired last, as long as nothing has gone wrong with it. */
  const owners = new Map<number, Tenure>()
  /** By partition, without a gap. */
  const kept = new Map<number, Kept>()
  /** By partition who waits for a commit; a partition that nobody ever waited at is not kept. */
  const waiting = new Map<number, Set<() => void>>()
  let isClosed = false

  const wake = (partition: number): void => {
    for (const look of [...(waiting.get(partition) ?? [])]) look()
  }

  function keep(partition: number, facts: readonly FactRecord[], ends: FactEnds): void {
    const stored = placed(facts, ends)
    const before = kept.get(partition)
    kept.delete(partition)
    if (!stored || !waiting.has(partition)) return
    const goesOn = before?.commits.at(-1)?.at(-1)?.seq === (stored[0]?.seq ?? 0n) - 1n
    const { commits, bytes } = before && goesOn ? before : { commits: [], bytes: 0 }
    commits.push(stored)
    let size = bytes + sizeOf(stored)
    while (size > bytesPerPartitionMax) size -= sizeOf(commits.shift() ?? [])
    if (commits.length > 0) kept.set(partition, { commits, bytes: size })
  }

  /** What follows the cursor, whole commits only unless `recordsMax` ends inside one. */
  function next(partition: number, { seq }: FactCursor, recordsMax: number): StoredFact[] {
    const commits = kept.get(partition)?.commits ?? []
    const first = commits[0]?.[0]?.seq
    if (first === undefined || first > seq + 1n) return []
    const found: StoredFact[] = []
    const from = commits.findLastIndex((facts) => (facts[0]?.seq ?? 0n) <= seq + 1n)
    for (const facts of commits.slice(from)) {
      if (found.length >= recordsMax) break
      for (const fact of facts) if (fact.seq > seq && found.length < recordsMax) found.push(fact)
    }
    return found
  }

  /** As far as this process knows there is nothing after the cursor, and whatever comes is written here. */
  const isAtEnd = (partition: number, { seq }: FactCursor): boolean =>
    !isClosed && owners.get(partition)?.committed.seq === seq

  /** Until the partition's owner commits, is one no more, the time is over or the signal comes. */
  function grown(partition: number, cursor: FactCursor, waitMs: number, signal?: AbortSignal): Promise<void> {
    if (!isAtEnd(partition, cursor) || signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = clock.after(waitMs, end)
      signal?.addEventListener('abort', end, { once: true })
      const look = () => {
        if (!isAtEnd(partition, cursor)) end()
      }
      waiting.get(partition)?.add(look)
      function end() {
        cancel()
        signal?.removeEventListener('abort', end)
        waiting.get(partition)?.delete(look)
        resolve()
      }
    })
  }

  function disown(tenure: Tenure): void {
    if (owners.get(tenure.partition) === tenure) owners.delete(tenure.partition)
    wake(tenure.partition)
  }

  return {
    ...log,
    async readFacts(partition, cursor, options) {
      checkPartition(partition, log)
      checkRead(options)
      const { recordsMax, waitMs, signal } = options
      if (waitMs === 0 || isClosed) return log.readFacts(partition, cursor, options)
      if (!waiting.has(partition)) waiting.set(partition, new Set())
      const untilMs = clock.nowMs() + waitMs
      for (;;) {
        const leftMs = Math.min(waitMs, Math.max(0, untilMs - clock.nowMs()))
        await grown(partition, cursor, Math.min(leftMs, lookEveryMs), signal)
        if (signal?.aborted || isClosed) return { facts: [], cursor }
        const facts = next(partition, cursor, recordsMax)
        if (facts.length > 0) return { facts, cursor: advance(partition, cursor, facts) }
        if (!isAtEnd(partition, cursor)) return log.readFacts(partition, cursor, { ...options, waitMs: leftMs })
        const read = await log.readFacts(partition, cursor, { ...options, waitMs: 0 })
        if (read.facts.length > 0 || leftMs <= lookEveryMs) return read
      }
    },
    async acquire(partition) {
      const before = owners.get(partition)
      if (before) disown(before)
      const tenure = await log.acquire(partition)
      const handing: Tenure = {
        partition,
        get committed() {
          return tenure.committed
        },
        async commit(facts, intakeOffset) {
          try {
            const ends = await tenure.commit(facts, intakeOffset)
            if (facts.length > 0 && owners.get(partition) === handing) {
              keep(partition, facts, ends)
              wake(partition)
            }
            return ends
          } catch (error) {
            disown(handing)
            throw error
          }
        },
        announce: (streams) => tenure.announce(streams),
        release() {
          disown(handing)
          return tenure.release()
        },
      }
      owners.set(partition, handing)
      return handing
    },
    async close() {
      isClosed = true
      for (const partition of waiting.keys()) wake(partition)
      await log.close()
    },
  }
}

/** Undefined where the log does not say where its streams end. Within a commit nobody else writes to a stream. */
function placed(facts: readonly FactRecord[], ends: FactEnds): StoredFact[] | undefined {
  const next = { ...ends }
  const stored: StoredFact[] = []
  for (const fact of facts.toReversed()) {
    const end = next[fact.stream]
    if (end === undefined) return undefined
    next[fact.stream] = end - 1n
    stored.push({ ...fact, offset: end - 1n })
  }
  return stored.reverse()
}

const sizeOf = (facts: readonly StoredFact[]): number => facts.reduce((sum, { value }) => sum + value.byteLength, 0)
