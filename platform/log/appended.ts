/**
 * Requests that this process has appended and that its own reader has still to take: what was in memory a moment ago need
 * not be read back from the database. Of each partition it holds one run without a gap, the newest; for anything else the log
 * itself has to be asked (decision 22).
 */
import type { IntakeRecord, StoredRequest } from './log.ts'

export type Appended = {
  /** `records` follow one another from `first` on, and are durable. Kept only where somebody has asked before. */
  note(partition: number, first: bigint, records: readonly IntakeRecord[]): void
  /** At most `recordsMax` requests from `offset` on; none when they are not here. What comes before `offset` is forgotten. */
  take(partition: number, offset: bigint, recordsMax: number): StoredRequest[]
}

/** `bytesMax`: of the values of one partition; beyond it the oldest are forgotten. */
export function appended(bytesMax: number): Appended {
  const runs = new Map<number, { requests: StoredRequest[]; bytes: number }>()

  return {
    note(partition, first, records) {
      const run = runs.get(partition)
      if (!run) return
      const { requests } = run
      const last = requests.at(-1)
      if (last && last.offset + 1n !== first) forget(run, requests.length)
      records.forEach(({ key, value }, index) => {
        requests.push({ offset: first + BigInt(index), key, value })
        run.bytes += value.byteLength
      })
      while (run.bytes > bytesMax) forget(run, 1)
    },
    take(partition, offset, recordsMax) {
      const run = runs.get(partition) ?? { requests: [], bytes: 0 }
      runs.set(partition, run)
      const first = run.requests[0]?.offset
      if (first === undefined || first > offset) return []
      forget(run, Math.min(Number(offset - first), run.requests.length))
      return run.requests.slice(0, recordsMax)
    },
  }

  function forget(run: { requests: StoredRequest[]; bytes: number }, count: number): void {
    for (const { value } of run.requests.splice(0, count)) run.bytes -= value.byteLength
  }
}
