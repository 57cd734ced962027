/**
 * The log in memory, for tests and the simulator: the same contract as the others, with faults drawn from a seeded
 * random source. It reaches no clock, timer or random source of its own, so a run is repeated by its seed.
 */
import type { FactStream } from '../../schemas/streams.ts'
import type { Clock, Random } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import {
  type AssignmentListener, type Committed, type FactCursor, type FactRecord, type IntakeRecord, type Log, type Position, type ReadOptions, startOfFacts,
  type StoredDirectoryFact, type StoredFact, type StoredRequest, type Tenure,
} from './log.ts'
import { partitionOf } from './partitioner.ts'

/** Chances from 0 to 1, each drawn on its own. All 0 by default. */
export type SimulatedFaults = {
  /** A request is stored twice, as after a producer's retry. */
  duplicateAppend: number
  /** The requests are stored, but the caller is told LOG_UNAVAILABLE. */
  appendUnacknowledged: number
  /** Nothing is stored, and the caller is told LOG_UNAVAILABLE. */
  appendLost: number
  /** The commit happens, but the owner is told LOG_COMMIT_UNKNOWN. */
  commitUnknownDurable: number
  /** The commit does not happen, and the owner is told LOG_COMMIT_UNKNOWN. */
  commitUnknownLost: number
  /** Longest delay of any call, in milliseconds; each is drawn between 0 and this. */
  delayMsMax: number
}

export const noFaults: SimulatedFaults = {
  duplicateAppend: 0, appendUnacknowledged: 0, appendLost: 0, commitUnknownDurable: 0, commitUnknownLost: 0, delayMsMax: 0,
}

export type SimulatedLogOptions = {
  partitionCount: number
  clock: Clock
  random: Random
  faults?: Partial<SimulatedFaults>
  recordBytesMax?: number
}

export type SimulatedLog = Log & {
  /** Changes the faults from now on. */
  setFaults(faults: Partial<SimulatedFaults>): void
}

type Partition = { intake: StoredRequest[]; facts: StoredFact[]; ends: Record<FactStream, bigint>; epoch: bigint; committed: Committed }

export function simulatedLog(options: SimulatedLogOptions): SimulatedLog {
  const { partitionCount, clock, random, recordBytesMax = 1_000_000 } = options
  let faults: SimulatedFaults = { ...noFaults, ...options.faults }
  let isClosed = false
  const partitions = Array.from({ length: partitionCount }, (): Partition => ({
    intake: [], facts: [], ends: { ...startOfFacts.offsets }, epoch: 0n, committed: { intakeOffset: 0n, seq: 0n },
  }))
  const directory: StoredDirectoryFact[] = []
  const waiting = new Set<() => void>()

  const happens = (chance: number): boolean => chance > 0 && random.fraction() < chance
  const wakeAll = () => {
    for (const wake of [...waiting]) wake()
  }
  const of = (partition: number): Partition => {
    const found = partitions[partition]
    if (!found) throw new PlatformError('INTERNAL', { partition, partitionCount })
    return found
  }

  async function delay(): Promise<void> {
    if (isClosed) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the log is closed' })
    if (faults.delayMsMax === 0) return
    const delayMs = random.fraction() * faults.delayMsMax
    await new Promise<void>((resolve) => clock.after(delayMs, resolve))
  }

  /** What `look` finds, waiting for the first as long as the options say. */
  async function read<Item>(look: () => Item[], { waitMs, signal }: ReadOptions): Promise<Item[]> {
    await delay()
    const found = look()
    if (found.length > 0 || waitMs === 0 || signal?.aborted) return found
    return new Promise((resolve) => {
      const cancel = clock.after(waitMs, end)
      signal?.addEventListener('abort', end, { once: true })
      waiting.add(wake)
      function wake() {
        if (look().length > 0) end()
      }
      function end() {
        cancel()
        waiting.delete(wake)
        signal?.removeEventListener('abort', end)
        resolve(signal?.aborted ? [] : look())
      }
    })
  }

  function refuseTooLarge(records: readonly { value: Uint8Array }[]): void {
    const largest = records.reduce((most, { value }) => Math.max(most, value.byteLength), 0)
    if (largest > recordBytesMax) throw new PlatformError('LOG_RECORD_TOO_LARGE', { bytes: largest, bytesMax: recordBytesMax })
  }

  function store({ key, value }: IntakeRecord): Position {
    const partition = partitionOf(key, partitionCount)
    const { intake } = of(partition)
    const offset = BigInt(intake.length)
    intake.push({ key, value, offset })
    return { partition, offset }
  }

  function tenure(partition: number): Tenure {
    const home = of(partition)
    home.epoch += 1n
    const { epoch } = home
    let committed: Committed = { ...home.committed }
    let isDead = false

    function apply(facts: readonly FactRecord[], intakeOffset: bigint): void {
      for (const fact of facts) {
        const offset = home.ends[fact.stream]
        home.ends[fact.stream] += 1n
        home.facts.push({ ...fact, offset })
        if (fact.stream === 'directory') directory.push({ offset, value: fact.value, seq: fact.seq })
      }
      home.committed = { intakeOffset, seq: facts.at(-1)?.seq ?? home.committed.seq }
      wakeAll()
    }

    return {
      partition,
      get committed() {
        return committed
      },
      async commit(facts, intakeOffset) {
        await delay()
        if (isDead || home.epoch !== epoch) throw new PlatformError('LOG_FENCED', { partition, epoch })
        facts.forEach(({ seq }, index) => {
          if (seq !== committed.seq + BigInt(index) + 1n) throw new PlatformError('LOG_GAP', { partition, seq, after: committed.seq })
        })
        if (intakeOffset < committed.intakeOffset) throw new PlatformError('LOG_GAP', { partition, intakeOffset, committed: committed.intakeOffset })
        refuseTooLarge(facts)
        const isDurable = happens(faults.commitUnknownDurable)
        if (isDurable || happens(faults.commitUnknownLost)) {
          isDead = true
          if (isDurable) apply(facts, intakeOffset)
          throw new PlatformError('LOG_COMMIT_UNKNOWN', { partition })
        }
        apply(facts, intakeOffset)
        committed = { ...home.committed }
      },
      async release() {
        isDead = true
      },
    }
  }

  return {
    partitionCount,
    recordBytesMax,
    setFaults(changed) {
      faults = { ...faults, ...changed }
    },
    async append(records) {
      await delay()
      refuseTooLarge(records)
      if (happens(faults.appendLost)) throw new PlatformError('LOG_UNAVAILABLE', { records: records.length })
      const positions = records.map((record) => {
        const position = store(record)
        if (happens(faults.duplicateAppend)) store(record)
        return position
      })
      wakeAll()
      if (happens(faults.appendUnacknowledged)) throw new PlatformError('LOG_UNAVAILABLE', { records: records.length })
      return positions
    },
    readIntake: (partition, offset, readOptions) =>
      read(() => of(partition).intake.slice(Number(offset), Number(offset) + readOptions.recordsMax), readOptions),
    async readFacts(partition, cursor, readOptions) {
      const from = Number(cursor.seq)
      const facts = await read(() => of(partition).facts.slice(from, from + readOptions.recordsMax), readOptions)
      return { facts, cursor: advance(cursor, facts) }
    },
    readDirectory: (offset, readOptions) => read(() => directory.slice(Number(offset), Number(offset) + readOptions.recordsMax), readOptions),
    async directoryEnd() {
      await delay()
      return BigInt(directory.length)
    },
    async committed(partition) {
      await delay()
      return { ...of(partition).committed }
    },
    async intakeEnd(partition) {
      await delay()
      return BigInt(of(partition).intake.length)
    },
    async join(listener: AssignmentListener) {
      for (let partition = 0; partition < partitionCount; partition++) listener.gained(partition)
      return async () => {}
    },
    async acquire(partition) {
      await delay()
      return tenure(partition)
    },
    async close() {
      isClosed = true
      wakeAll()
    },
  }
}

function advance(cursor: FactCursor, facts: readonly StoredFact[]): FactCursor {
  const offsets = { ...cursor.offsets }
  for (const { stream, offset } of facts) offsets[stream] = offset + 1n
  return { seq: facts.at(-1)?.seq ?? cursor.seq, offsets }
}
