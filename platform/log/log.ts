/**
 * The log port. Requests are appended to `intake`; the owner of a partition takes them in order and commits the
 * facts they lead to together with how far it has read. Three adapters keep one contract: embedded, simulated, kafka.
 */
import type { FactStream } from '../../schemas/streams.ts'

export type IntakeRecord = { key: string; value: Uint8Array }
export type StoredRequest = IntakeRecord & { offset: bigint }
export type FactRecord = { stream: FactStream; key: string; value: Uint8Array; seq: bigint }
export type StoredFact = FactRecord & { offset: bigint }
export type StoredDirectoryFact = { offset: bigint; value: Uint8Array; seq: bigint }
export type Position = { partition: number; offset: bigint }

/** Where a reader of one partition's facts stands: the last `seq` it took, and the next offset of every stream. */
export type FactCursor = { seq: bigint; offsets: Record<FactStream, bigint> }
export const startOfFacts: FactCursor = {
  seq: 0n,
  offsets: { directory: 0n, accounts: 0n, jobs: 0n, usage: 0n, billing: 0n, transfers: 0n },
}

export type ReadOptions = {
  /** At most this many records; at least 1. */
  recordsMax: number
  /** Waits this long for the first record, then answers with none. 0 answers at once. */
  waitMs: number
  /** Ends the wait early, with none. */
  signal?: AbortSignal
}

/** What the last commit of a partition fixed. */
export type Committed = {
  /** Offset of the first request not yet taken. */
  intakeOffset: bigint
  /** `seq` of the last fact; 0 when there is none. */
  seq: bigint
}

/** By stream the offset after its last fact. */
export type FactEnds = Readonly<Partial<Record<FactStream, bigint>>>

/** The right to write one partition's facts, until another owner acquires it. */
export type Tenure = {
  readonly partition: number
  /** As it stood when the tenure began, later as of the last commit. */
  readonly committed: Committed
  /**
   * Writes the facts and the new intake offset: all or nothing. `seq` must go on gaplessly from `committed.seq`.
   * Throws LOG_FENCED when another owner has acquired the partition (nothing was written), LOG_COMMIT_UNKNOWN when
   * nobody knows (the tenure is dead: acquire again and restore), LOG_RECORD_TOO_LARGE (nothing was written).
   * Resolves with the offset after the last of these facts in each stream, where the log knows it.
   */
  commit(facts: readonly FactRecord[], intakeOffset: bigint): Promise<FactEnds>
  /**
   * Says that a commit follows within a moment, most likely with facts of these streams, so that what can be made ready
   * for it is. Writes nothing, never fails, and binds nobody. Kafka begins its transaction; the other logs do nothing.
   */
  announce(streams: ReadonlySet<FactStream>): void
  /** Gives the partition up; the tenure is dead. */
  release(): Promise<void>
}

export type AssignmentListener = {
  /** This instance may acquire the partition now; a tenure that it still holds of it is over. */
  gained(partition: number): void
  /** This instance must stop writing to the partition; a tenure it holds is or will be fenced. */
  lost(partition: number): void
}

export type Log = {
  readonly partitionCount: number
  /** Whether other processes may own partitions too: then a fenced owner is given its partition again, or another has it. */
  readonly sharesPartitions: boolean
  /** Largest record value in bytes. */
  readonly recordBytesMax: number
  /**
   * Appends requests, each to the partition of its key, in the given order per key; durable once it resolves.
   * Throws LOG_RECORD_TOO_LARGE (none was written), LOG_BUSY (none was written), LOG_UNAVAILABLE (perhaps some were).
   */
  append(records: readonly IntakeRecord[]): Promise<Position[]>
  /**
   * Requests of one partition from `offset` on, in order. `offset` is at most where the log ends: Kafka throws LOG_GAP for
   * one beyond it, which means that records were lost; on the other logs such a reader waits.
   */
  readIntake(partition: number, offset: bigint, options: ReadOptions): Promise<StoredRequest[]>
  /** Committed facts of one partition after `cursor`, of all streams, merged by `seq` without a gap. */
  readFacts(
    partition: number,
    cursor: FactCursor,
    options: ReadOptions,
  ): Promise<{ facts: StoredFact[]; cursor: FactCursor }>
  /** The directory, whole, from `offset` on, in order. */
  readDirectory(offset: bigint, options: ReadOptions): Promise<StoredDirectoryFact[]>
  /** Offset after the directory's last committed fact. */
  directoryEnd(): Promise<bigint>
  /** What the partition's last commit fixed, as seen from outside. */
  committed(partition: number): Promise<Committed>
  /** Offset after the last request of the partition. */
  intakeEnd(partition: number): Promise<bigint>
  /**
   * Takes part in the sharing of partitions, and resolves once what falls to this instance has been reported, which may be
   * nothing; the returned function leaves it, after which nothing is reported.
   */
  join(listener: AssignmentListener): Promise<() => Promise<void>>
  /** Fences every earlier owner of the partition and settles what it left open; only then answers. */
  acquire(partition: number): Promise<Tenure>
  /** Reads that wait end with nothing; what begins later throws LOG_UNAVAILABLE. */
  close(): Promise<void>
}

/** What those need who only read facts. */
export type FactsLog = Pick<Log, 'partitionCount' | 'readFacts' | 'committed'>
