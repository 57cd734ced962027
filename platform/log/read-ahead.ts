/** The past of a partition, batch by batch: while one is taken in, the next one is on its way. */
import { PlatformError } from '../errors.ts'
import type { FactCursor, FactsLog, StoredFact } from './log.ts'

export type FactsBatch = { facts: StoredFact[]; cursor: FactCursor }

/**
 * Facts after `from` up to those that `to` is one of, which must be committed; the last batch may go beyond it. Never waits for
 * more to be written. Throws LOG_UNAVAILABLE when the log cannot say what comes next: to end there would be to call the part
 * the whole.
 */
export async function* readAhead(
  log: Pick<FactsLog, 'readFacts'>,
  partition: number,
  { from, to, recordsMax }: { from: FactCursor; to: bigint; recordsMax: number },
): AsyncGenerator<FactsBatch> {
  const readOn = (cursor: FactCursor) => {
    const reading = cursor.seq < to ? log.readFacts(partition, cursor, { recordsMax, waitMs: 0 }) : undefined
    reading?.catch(() => undefined) // Told when it is waited for, unless nobody does any more.
    return reading
  }
  let reading = readOn(from)
  while (reading !== undefined) {
    const read: FactsBatch = await reading
    if (read.facts.length === 0) throw undecided({ partition, seq: read.cursor.seq })
    reading = readOn(read.cursor)
    yield read
  }
}

/** For a reader that has to have everything. */
export const undecided = (where: Record<string, number | bigint>): PlatformError =>
  new PlatformError('LOG_UNAVAILABLE', { ...where, problem: 'what comes next is undecided' })
