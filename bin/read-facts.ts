/** Every committed fact of a partition or of the directory, in order, a batch at a time. */
import { PlatformError } from '../platform/errors.ts'
import { type FactCursor, type Log, type StoredFact, startOfFacts } from '../platform/log/log.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'

const recordsMax = 2_000

/**
 * After `afterSeq`, up to what was committed when it began; never waits for more. What is not wanted is not decoded. While
 * one batch is taken in, the next one is on its way. Throws LOG_UNAVAILABLE when the log cannot say what comes next.
 */
export async function* readAllFacts(
  { log, codec }: { log: Log; codec: Codec },
  partition: number,
  { afterSeq = 0n, isWanted = () => true }: { afterSeq?: bigint; isWanted?: (record: StoredFact) => boolean } = {},
): AsyncGenerator<Fact> {
  const { seq: end } = await log.committed(partition)
  const readOn = (cursor: FactCursor) => {
    const reading = cursor.seq < end ? log.readFacts(partition, cursor, { recordsMax, waitMs: 0 }) : undefined
    reading?.catch(() => undefined) // Told when it is waited for, unless nobody does any more.
    return reading
  }
  let reading = readOn(startOfFacts)
  while (reading !== undefined) {
    const read: Awaited<typeof reading> = await reading
    if (read.facts.length === 0) throw undecided({ partition, seq: read.cursor.seq })
    reading = readOn(read.cursor)
    for (const fact of read.facts)
      if (fact.seq > afterSeq && fact.seq <= end && isWanted(fact)) yield codec.decode(fact.value) as Fact
  }
}

/** The directory, up to what was committed when it began; never waits. Throws as `readAllFacts`. */
export async function* readDirectory({ log, codec }: { log: Log; codec: Codec }): AsyncGenerator<Fact> {
  const end = await log.directoryEnd()
  for (let offset = 0n; offset < end; ) {
    const read = await log.readDirectory(offset, { recordsMax, waitMs: 0 })
    if (read.length === 0) throw undecided({ offset })
    for (const { value } of read) yield codec.decode(value) as Fact
    offset = (read.at(-1)?.offset ?? offset) + 1n
  }
}

/** To end here would be to call the part the whole. */
const undecided = (where: Record<string, number | bigint>): PlatformError =>
  new PlatformError('LOG_UNAVAILABLE', { ...where, problem: 'what comes next is undecided' })
