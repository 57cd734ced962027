/** Every committed fact of a partition or of the directory, in order. */
import { type Log, type StoredFact, startOfFacts } from '../platform/log/log.ts'
import { partitionOf } from '../platform/log/partitioner.ts'
import { readAhead, undecided } from '../platform/log/read-ahead.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'

const recordsMax = 2_000

/** Records up to the fact `to`, which must be committed, as `readAhead` gives them. */
async function* readRecords(log: Log, partition: number, to: bigint): AsyncGenerator<StoredFact[]> {
  for await (const { facts, cursor } of readAhead(log, partition, { from: startOfFacts, to, recordsMax }))
    yield cursor.seq <= to ? facts : facts.filter(({ seq }) => seq <= to)
}

/**
 * The tenant's facts of `types` up to the fact `to`, which must be committed, in order, decoded when they are taken. The others
 * are passed over without being decoded.
 */
export async function* factsOfTenant(
  { log, codec }: { log: Log; codec: Codec },
  { tenantId, types, to }: { tenantId: string; types: ReadonlySet<string>; to: bigint },
): AsyncGenerator<Iterable<Fact>> {
  for await (const records of readRecords(log, partitionOf(tenantId, log.partitionCount), to)) yield wanted(records)
  function* wanted(records: readonly StoredFact[]): Generator<Fact> {
    for (const { key, value } of records)
      if (key === tenantId && types.has(codec.typeOf(value))) yield codec.decode(value) as Fact
  }
}

/** The facts after `afterSeq` up to what was committed when it began, decoded one by one. */
export async function* readAllFacts(
  { log, codec }: { log: Log; codec: Codec },
  partition: number,
  { afterSeq = 0n }: { afterSeq?: bigint } = {},
): AsyncGenerator<Fact> {
  const { seq: to } = await log.committed(partition)
  for await (const records of readRecords(log, partition, to))
    for (const { seq, value } of records) if (seq > afterSeq) yield codec.decode(value) as Fact
}

/** The directory, up to what was committed when it began; never waits. Throws as `readAhead`. */
export async function* readDirectory({ log, codec }: { log: Log; codec: Codec }): AsyncGenerator<Fact[]> {
  const end = await log.directoryEnd()
  for (let offset = 0n; offset < end; ) {
    const read = await log.readDirectory(offset, { recordsMax, waitMs: 0 })
    if (read.length === 0) throw undecided({ offset })
    yield read.map(({ value }) => codec.decode(value) as Fact)
    offset = (read.at(-1)?.offset ?? offset) + 1n
  }
}
