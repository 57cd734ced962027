/** Every committed fact of a partition or of the directory, in order. */
import { PlatformError } from '../platform/errors.ts'
import { type FactCursor, type Log, type StoredFact, startOfFacts } from '../platform/log/log.ts'
import { partitionOf } from '../platform/log/partitioner.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'

const recordsMax = 2_000

/**
 * Records up to what was committed when it began; never waits for more. While one batch is taken in, the next one is on its
 * way. Throws LOG_UNAVAILABLE when the log cannot say what comes next.
 */
async function* readRecords(log: Log, partition: number): AsyncGenerator<StoredFact[]> {
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
    yield read.cursor.seq <= end ? read.facts : read.facts.filter(({ seq }) => seq <= end)
  }
}

export type WantedFacts = { tenantId: string; types: ReadonlySet<string> }

/** The tenant's facts of these types as the log has them, batches of them. The others are passed over without being decoded. */
export async function* recordsOfTenant(
  { log, codec }: { log: Log; codec: Codec },
  { tenantId, types }: WantedFacts,
): AsyncGenerator<Uint8Array[]> {
  const isWanted = ({ key, value }: StoredFact) => key === tenantId && types.has(codec.typeOf(value))
  for await (const records of readRecords(log, partitionOf(tenantId, log.partitionCount)))
    yield records.filter(isWanted).map(({ value }) => value)
}

/** The facts of `readRecords` after `afterSeq`, decoded one by one. */
export async function* readAllFacts(
  { log, codec }: { log: Log; codec: Codec },
  partition: number,
  { afterSeq = 0n }: { afterSeq?: bigint } = {},
): AsyncGenerator<Fact> {
  for await (const records of readRecords(log, partition))
    for (const { seq, value } of records) if (seq > afterSeq) yield codec.decode(value) as Fact
}

/** The directory, up to what was committed when it began; never waits. Throws as `readRecords`. */
export async function* readDirectory({ log, codec }: { log: Log; codec: Codec }): AsyncGenerator<Fact[]> {
  const end = await log.directoryEnd()
  for (let offset = 0n; offset < end; ) {
    const read = await log.readDirectory(offset, { recordsMax, waitMs: 0 })
    if (read.length === 0) throw undecided({ offset })
    yield read.map(({ value }) => codec.decode(value) as Fact)
    offset = (read.at(-1)?.offset ?? offset) + 1n
  }
}

/** To end here would be to call the part the whole. */
const undecided = (where: Record<string, number | bigint>): PlatformError =>
  new PlatformError('LOG_UNAVAILABLE', { ...where, problem: 'what comes next is undecided' })
