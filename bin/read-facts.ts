/** Every committed fact of a partition or of the directory, in order. */
import { type Log, type StoredFact, startOfFacts } from '../platform/log/log.ts'
import { partitionOf } from '../platform/log/partitioner.ts'
import { readAhead, undecided } from '../platform/log/read-ahead.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'

const recordsMax = 2_000

/** Records up to what was committed when it began, as `readAhead` gives them. */
async function* readRecords(log: Log, partition: number): AsyncGenerator<StoredFact[]> {
  const { seq: to } = await log.committed(partition)
  for await (const { facts, cursor } of readAhead(log, partition, { from: startOfFacts, to, recordsMax }))
    yield cursor.seq <= to ? facts : facts.filter(({ seq }) => seq <= to)
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
