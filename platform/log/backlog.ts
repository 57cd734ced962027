/** Bounds what waits to be written: a log that falls behind says so instead of filling the memory. */
import { PlatformError } from '../errors.ts'
import type { IntakeRecord } from './log.ts'

export type BacklogLimits = {
  /** Records not yet written. */
  waitingRecordsMax: number
  /** The same in bytes of their values. */
  waitingBytesMax: number
}

export const backlogDefaults: BacklogLimits = { waitingRecordsMax: 20_000, waitingBytesMax: 16 * 1024 * 1024 }

export type Backlog = {
  /**
   * Runs `write` and counts `records` as waiting until it ends. Throws LOG_BUSY, without running it, when that would be
   * over a limit; alone even a call that is over by itself is let through, because it never could be otherwise.
   */
  during<T>(records: readonly IntakeRecord[], write: () => Promise<T>): Promise<T>
}

export function backlog({ waitingRecordsMax, waitingBytesMax }: BacklogLimits): Backlog {
  let waitingRecords = 0
  let waitingBytes = 0
  return {
    async during(records, write) {
      const bytes = records.reduce((sum, record) => sum + record.value.byteLength, 0)
      const isOver = waitingRecords + records.length > waitingRecordsMax || waitingBytes + bytes > waitingBytesMax
      if (isOver && waitingRecords > 0) throw new PlatformError('LOG_BUSY', { waitingRecords, waitingBytes })
      waitingRecords += records.length
      waitingBytes += bytes
      try {
        return await write()
      } finally {
        waitingRecords -= records.length
        waitingBytes -= bytes
      }
    },
  }
}
