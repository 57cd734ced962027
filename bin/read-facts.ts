/** Every committed fact of a partition, in order, a batch at a time. */
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
