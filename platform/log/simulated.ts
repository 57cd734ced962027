/**
 * The log in memory, for tests and the simulator: the same contract as the others, with faults drawn from a seeded
 * random source. It reaches no clock, timer or random source of its own, so a run is repeated by its seed.
 */
import { type FactStream, platformTenantId } from '../../schemas/streams.ts'
import { type Clock, type Random, sleep } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import { type BacklogLimits, backlog, backlogDefaults } from './backlog.ts'
import {
  advance,
  checkCommit,
  checkPartition,
  checkRead,
  checkSizes,
  recordBytesMaxDefault,
  type Shape,
} from './checks.ts'
import {
  type AssignmentListener,
  type Committed,
  type FactEnds,
  type FactRecord,
  type IntakeRecord,
  type Log,
  type Position,
  type ReadOptions,
  type StoredDirectoryFact,
  type StoredFact,
  type StoredRequest,
  startOfFacts,
  type Tenure,
} from './log.ts'
import { partitionOf } from './partitioner.ts'

/**
 * Chances from 0 to 1, each drawn on its own and only when it is above 0. All 0 by default. A new fault is a new line
 * here and in `noFaults`, and one `happens` at the point where it strikes.
 */
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
  /** The owner is told LOG_COMMIT_UNKNOWN, and the commit happens a while later unless somebody has acquired the partition since. */
  commitLate: number
  /** Another owner acquires the partition just before the commit, which is refused with LOG_FENCED. */
  fenced: number
  /** A read answers only some of what there is, though at least one record. */
  shortRead: number
  /** A read fails with LOG_UNAVAILABLE. */
  readFailed: number
  /** Longest delay before a call takes effect, and before its answer, in milliseconds; each is drawn between 0 and this. */
  delayMsMax: number
}

export const noFaults: SimulatedFaults = {
  duplicateAppend: 0,
  appendUnacknowledged: 0,
  appendLost: 0,
  commitUnknownDurable: 0,
  commitUnknownLost: 0,
  commitLate: 0,
  fenced: 0,
  shortRead: 0,
  readFailed: 0,
  delayMsMax: 0,
}

export type SimulatedLogOptions = Partial<BacklogLimits> & {
  partitionCount: number
  clock: Clock
  random: Random
  faults?: Partial<SimulatedFaults>
  recordBytesMax?: number
  /** Told of every fault that strikes. */
  onFault?: (kind: keyof SimulatedFaults) => void
}

export type SimulatedLog = Log & {
  /** Changes the faults from now on. */
  setFaults(faults: Partial<SimulatedFaults>): void
  /** Everything committed in the partition, for an observer who must not disturb the run. */
  committedFacts(partition: number): readonly StoredFact[]
  /** The same of all partitions, in the order in which it was committed: what a decision was made from stands before it. */
  history(): readonly { partition: number; fact: StoredFact }[]
}

type Partition = {
  intake: StoredRequest[]
  facts: StoredFact[]
  ends: Record<FactStream, bigint>
  epoch: bigint
  committed: Committed
}

const lateCommitMsMax = 200

export function simulatedLog(options: SimulatedLogOptions): SimulatedLog {
  const { partitionCount, clock, random } = options
  const shape: Shape = { partitionCount, recordBytesMax: options.recordBytesMax ?? recordBytesMaxDefault }
  const unwritten = backlog({
    waitingRecordsMax: options.waitingRecordsMax ?? backlogDefaults.waitingRecordsMax,
    waitingBytesMax: options.waitingBytesMax ?? backlogDefaults.waitingBytesMax,
  })
  let faults: SimulatedFaults = { ...noFaults, ...options.faults }
  const closing = new AbortController()
  const partitions = Array.from(
    { length: partitionCount },
    (): Partition => ({
      intake: [],
      facts: [],
      ends: { ...startOfFacts.offsets },
      epoch: 0n,
      committed: { intakeOffset: 0n, seq: 0n },
    }),
  )
  const directory: StoredDirectoryFact[] = []
  const history: { partition: number; fact: StoredFact }[] = []
  const waiting = new Set<() => void>()

  const happens = (kind: keyof SimulatedFaults): boolean => {
    const chance = faults[kind]
    const does = chance > 0 && random.fraction() < chance
    if (does) options.onFault?.(kind)
    return does
  }
  const wakeAll = () => {
    for (const wake of [...waiting]) wake()
  }
  const of = (partition: number): Partition => {
    checkPartition(partition, shape)
    const found = partitions[partition]
    if (!found) throw new PlatformError('INTERNAL', { partition, partitionCount })
    return found
  }

  async function delay(): Promise<void> {
    if (faults.delayMsMax > 0) await sleep(clock, random.fraction() * faults.delayMsMax, closing.signal)
    if (closing.signal.aborted) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the log is closed' })
  }

  /** What stands in `records` from `offset` on, waiting for the first as long as the options say. */
  async function read<Item>(records: readonly Item[], offset: bigint, readOptions: ReadOptions): Promise<Item[]> {
    checkRead(readOptions)
    await delay()
    if (happens('readFailed')) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'simulated' })
    const from = Number(offset)
    if (records.length <= from) await grown(records, from, readOptions)
    if (readOptions.signal?.aborted) return []
    const found = records.slice(from, from + readOptions.recordsMax)
    return found.length > 1 && happens('shortRead')
      ? found.slice(0, 1 + Math.floor(random.fraction() * (found.length - 1)))
      : found
  }

  function grown(records: readonly unknown[], length: number, { waitMs, signal }: ReadOptions): Promise<void> {
    if (waitMs === 0 || signal?.aborted || closing.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = clock.after(waitMs, end)
      signal?.addEventListener('abort', end, { once: true })
      waiting.add(wake)
      function wake() {
        if (records.length > length || closing.signal.aborted) end()
      }
      function end() {
        cancel()
        waiting.delete(wake)
        signal?.removeEventListener('abort', end)
        resolve()
      }
    })
  }

  function store({ key, value }: IntakeRecord): Position {
    const partition = partitionOf(key, partitionCount)
    const { intake } = of(partition)
    const offset = BigInt(intake.length)
    intake.push({ key, value, offset })
    return { partition, offset }
  }

  async function append(records: readonly IntakeRecord[]): Promise<Position[]> {
    await delay()
    if (happens('appendLost'))
      throw new PlatformError('LOG_UNAVAILABLE', { records: records.length, problem: 'simulated' })
    const positions = records.map((record) => {
      const position = store(record)
      if (happens('duplicateAppend')) store(record)
      return position
    })
    wakeAll()
    await delay()
    if (happens('appendUnacknowledged'))
      throw new PlatformError('LOG_UNAVAILABLE', { records: records.length, problem: 'simulated' })
    return positions
  }

  function tenure(partition: number): Tenure {
    const home = of(partition)
    home.epoch += 1n
    const { epoch } = home
    let committed: Committed = { ...home.committed }
    let state: 'alive' | 'committing' | 'dead' = 'alive'

    function apply(facts: readonly FactRecord[], intakeOffset: bigint): FactEnds {
      for (const fact of facts) {
        const offset = home.ends[fact.stream]
        home.ends[fact.stream] += 1n
        const stored = { ...fact, offset }
        home.facts.push(stored)
        history.push({ partition, fact: stored })
        if (fact.stream === 'directory') directory.push({ offset, value: fact.value, seq: fact.seq })
      }
      home.committed = { intakeOffset, seq: facts.at(-1)?.seq ?? home.committed.seq }
      wakeAll()
      return { ...home.ends }
    }

    async function write(facts: readonly FactRecord[], intakeOffset: bigint): Promise<FactEnds> {
      let ends: FactEnds = {}
      await delay()
      if (happens('fenced')) home.epoch += 1n
      if (home.epoch !== epoch) throw new PlatformError('LOG_FENCED', { partition, epoch })
      const isDurable = happens('commitUnknownDurable')
      const isLost = !isDurable && happens('commitUnknownLost')
      const isLate = !isDurable && !isLost && happens('commitLate')
      if (isLate) {
        clock.after(random.fraction() * lateCommitMsMax, () => {
          if (home.epoch === epoch && !closing.signal.aborted) apply(facts, intakeOffset)
        })
      } else if (!isLost) ends = apply(facts, intakeOffset)
      await delay()
      if (isDurable || isLost || isLate)
        throw new PlatformError('LOG_COMMIT_UNKNOWN', { partition, problem: 'simulated' })
      return ends
    }

    return {
      partition,
      get committed() {
        return committed
      },
      async commit(facts, intakeOffset) {
        if (state === 'dead')
          throw new PlatformError('LOG_FENCED', { partition, epoch, problem: 'the tenure has ended' })
        if (state === 'committing')
          throw new PlatformError('INTERNAL', { partition, problem: 'a commit is under way already' })
        checkCommit(partition, facts, intakeOffset, committed, shape)
        if (intakeOffset > BigInt(home.intake.length))
          throw new PlatformError('LOG_GAP', { partition, intakeOffset, intakeEnd: home.intake.length })
        state = 'committing'
        try {
          const ends = await write(facts, intakeOffset)
          // What this commit fixed, not what stands in the log by now: another owner may have gone on meanwhile.
          committed = { intakeOffset, seq: facts.at(-1)?.seq ?? committed.seq }
          if (state === 'committing') state = 'alive' // Not when it was released meanwhile.
          return ends
        } catch (error) {
          state = 'dead'
          throw error
        }
      },
      announce: () => undefined,
      async release() {
        state = 'dead'
      },
    }
  }

  return {
    ...shape,
    sharesPartitions: false,
    setFaults(changed) {
      faults = { ...faults, ...changed }
    },
    committedFacts: (partition) => of(partition).facts,
    history: () => history,
    async append(records) {
      checkSizes(records, shape)
      return records.length === 0 ? [] : unwritten.during(records, () => append(records))
    },
    readIntake: async (partition, offset, readOptions) => read(of(partition).intake, offset, readOptions),
    async readFacts(partition, cursor, readOptions) {
      const facts = await read(of(partition).facts, cursor.seq, readOptions)
      return { facts, cursor: advance(partition, cursor, facts) }
    },
    readDirectory: (offset, readOptions) => read(directory, offset, readOptions),
    async directoryEnd() {
      await delay()
      return of(partitionOf(platformTenantId, partitionCount)).ends.directory
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
      return async () => undefined
    },
    async acquire(partition) {
      await delay()
      return tenure(partition)
    },
    async close() {
      closing.abort()
      wakeAll()
    },
  }
}
