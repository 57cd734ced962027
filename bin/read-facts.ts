/** Every committed fact of a partition or of the directory, in order, a batch at a time. */
import type { Log } from '../platform/log/log.ts'
import { startOfFacts } from '../platform/log/log.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'

const recordsMax = 2_000

/** After `afterSeq`, up to what was committed when it began; never waits. */
export async function* readAllFacts(
  { log, codec }: { log: Log; codec: Codec },
  partition: number,
  afterSeq = 0n,
): AsyncGenerator<Fact> {
  const { seq: end } = await log.committed(partition)
  let cursor = startOfFacts
  while (cursor.seq < end) {
    const read = await log.readFacts(partition, cursor, { recordsMax, waitMs: 0 })
    if (read.facts.length === 0) return
    cursor = read.cursor
    for (const fact of read.facts) if (fact.seq > afterSeq && fact.seq <= end) yield codec.decode(fact.value) as Fact
  }
}

/** The directory, up to what was committed when it began; never waits. */
export async function* readDirectory({ log, codec }: { log: Log; codec: Codec }): AsyncGenerator<Fact> {
  const end = await log.directoryEnd()
  for (let offset = 0n; offset < end; ) {
    const read = await log.readDirectory(offset, { recordsMax, waitMs: 0 })
    if (read.length === 0) return
    for (const { value } of read) yield codec.decode(value) as Fact
    offset = (read.at(-1)?.offset ?? offset) + 1n
  }
}
