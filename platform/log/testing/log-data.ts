/** What tests of the log are given, what they write, and all that they find in it. */
import { expect } from 'vitest'
import { type FactStream, platformTenantId } from '../../../schemas/streams.ts'
import {
  type FactCursor,
  type FactRecord,
  type Log,
  type StoredFact,
  type StoredRequest,
  startOfFacts,
} from '../log.ts'
import { partitionOf } from '../partitioner.ts'

export type LogForTest = {
  /** Empty, with `contractPartitions` partitions and `contractRecordBytesMax`; 100 records may wait to be appended. */
  log: Log
  /** Offsets of facts rise, but not by one: Kafka keeps its markers among them. */
  offsetsHaveGaps?: boolean
  /** Another log on the same records, as another process has it. */
  another(): Promise<Log>
  /** While `run` runs, a commit reports LOG_COMMIT_UNKNOWN, whether it happens or not. */
  losingCommits(isDurable: boolean, run: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

export const contractPartitions = 3
export const contractRecordBytesMax = 10_000
/** Where the directory is written, and one where it is not. */
export const platformPartition = partitionOf(platformTenantId, contractPartitions)
export const otherPartition = (platformPartition + 1) % contractPartitions

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)

/** A tenant whose home is `partition`; another for every `index`. */
export function tenantIn(partition: number, index = 0): string {
  for (let n = 0, found = 0; ; n++) {
    const tenantId = `tenant-${n}`
    if (partitionOf(tenantId, contractPartitions) === partition && found++ === index) return tenantId
  }
}

/** Facts of one partition from `afterSeq` on, one per stream given. */
export function factsOf(partition: number, afterSeq: bigint, streams: readonly FactStream[]): FactRecord[] {
  return streams.map((stream, index) => {
    const seq = afterSeq + BigInt(index) + 1n
    return {
      stream,
      key: stream === 'directory' ? platformTenantId : tenantIn(partition, index % 2),
      value: bytes(`${stream} ${seq}`),
      seq,
    }
  })
}

/** Everything that is there, read in steps of `recordsMax`. */
export async function allFacts(
  log: Log,
  partition: number,
  cursor: FactCursor = startOfFacts,
  recordsMax = 1_000,
): Promise<StoredFact[]> {
  const all: StoredFact[] = []
  for (let at = cursor; ; ) {
    const read = await log.readFacts(partition, at, { recordsMax, waitMs: 0 })
    if (read.facts.length === 0) return all
    expect(read.facts.length).toBeLessThanOrEqual(recordsMax)
    all.push(...read.facts)
    at = read.cursor
  }
}

export async function allRequests(log: Log, partition: number, recordsMax = 1_000): Promise<StoredRequest[]> {
  const all: StoredRequest[] = []
  for (;;) {
    const read = await log.readIntake(partition, BigInt(all.length), { recordsMax, waitMs: 0 })
    if (read.length === 0) return all
    all.push(...read)
  }
}
