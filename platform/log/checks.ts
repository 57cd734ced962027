/** What every adapter checks before it writes, so that all of them refuse the same, with the same words. */

import { platformTenantId } from '../../schemas/streams.ts'
import { PlatformError } from '../errors.ts'
import type { Committed, FactCursor, FactRecord, IntakeRecord, ReadOptions, StoredFact } from './log.ts'
import { partitionOf } from './partitioner.ts'

export const recordBytesMaxDefault = 1_000_000
/** Keys are tenant ids. */
export const keyBytesMax = 1_024

export type Shape = { partitionCount: number; recordBytesMax: number }

/** Throws LOG_RECORD_TOO_LARGE for a value or key over the limit. */
export function checkSizes(records: readonly IntakeRecord[], { recordBytesMax }: Shape): void {
  for (const { key, value } of records) {
    if (value.byteLength > recordBytesMax)
      throw new PlatformError('LOG_RECORD_TOO_LARGE', { bytes: value.byteLength, bytesMax: recordBytesMax })
    const keyBytes = Buffer.byteLength(key)
    if (keyBytes > keyBytesMax) throw new PlatformError('LOG_RECORD_TOO_LARGE', { keyBytes, keyBytesMax })
    if (key === '' || key.includes('\0'))
      throw new PlatformError('INTERNAL', { problem: 'a key is empty or holds a zero byte' })
  }
}

/**
 * Throws LOG_GAP when the facts or the offset do not go on from `committed`, LOG_RECORD_TOO_LARGE for a fact over the
 * limit, INTERNAL for a fact in a partition where no reader would look for it.
 */
export function checkCommit(
  partition: number,
  facts: readonly FactRecord[],
  intakeOffset: bigint,
  committed: Committed,
  shape: Shape,
): void {
  checkSizes(facts, shape)
  if (intakeOffset < committed.intakeOffset) {
    throw new PlatformError('LOG_GAP', { partition, intakeOffset, committed: committed.intakeOffset })
  }
  let expected = committed.seq
  for (const { stream, key, seq } of facts) {
    expected += 1n
    if (seq !== expected) throw new PlatformError('LOG_GAP', { partition, seq, expected })
    const home = partitionOf(stream === 'directory' ? platformTenantId : key, shape.partitionCount)
    if (home !== partition)
      throw new PlatformError('INTERNAL', { problem: 'a fact belongs to another partition', stream, partition, home })
  }
}

export function checkPartition(partition: number, { partitionCount }: Shape): void {
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitionCount) {
    throw new PlatformError('INTERNAL', { problem: 'there is no such partition', partition, partitionCount })
  }
}

export function checkRead({ recordsMax, waitMs }: ReadOptions): void {
  if (!Number.isInteger(recordsMax) || recordsMax < 1 || !(waitMs >= 0)) {
    throw new PlatformError('INTERNAL', {
      problem: 'recordsMax must be a whole number of at least 1, waitMs at least 0',
      recordsMax,
      waitMs,
    })
  }
}

/** The cursor after `facts`. Throws LOG_GAP when they do not follow `cursor` one by one. */
export function advance(partition: number, cursor: FactCursor, facts: readonly StoredFact[]): FactCursor {
  const offsets = { ...cursor.offsets }
  let seq = cursor.seq
  for (const fact of facts) {
    seq += 1n
    if (fact.seq !== seq) throw new PlatformError('LOG_GAP', { partition, expected: seq, found: fact.seq })
    if (fact.offset < offsets[fact.stream]) {
      throw new PlatformError('LOG_GAP', {
        partition,
        seq,
        stream: fact.stream,
        expected: offsets[fact.stream],
        found: fact.offset,
      })
    }
    offsets[fact.stream] = fact.offset + 1n
  }
  return { seq, offsets }
}
