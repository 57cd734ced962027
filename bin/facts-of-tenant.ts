/**
 * The facts of one tenant, for whoever does much with each of them: on Kafka another thread reads them, so that reading and
 * taking in go on side by side. A built-in database is another thread already, and opens its files once only.
 */
import { unpack } from '../platform/log/pack.ts'
import { startThread } from '../platform/threads/threads.ts'
import type { Fact } from '../schemas/events.generated.ts'
import type { FactsOfTenantThread } from './facts-of-tenant-thread.ts'
import type { Foundation } from './foundation.ts'
import { recordsOfTenant, type WantedFacts } from './read-facts.ts'

/** Batches that are asked of the thread before they are wanted. */
const aheadMax = 4

/**
 * Facts of `types` up to what was committed when it began, in order, decoded when they are taken. Throws LOG_UNAVAILABLE
 * when the log cannot say what comes next.
 */
export async function* factsOfTenant(
  foundation: Pick<Foundation, 'log' | 'codec' | 'learn'>,
  wanted: WantedFacts,
): AsyncGenerator<Iterable<Fact>> {
  const { log, codec, learn } = foundation
  const batches = log.sharesPartitions ? readInThread(wanted) : recordsOfTenant(foundation, wanted)
  for await (const records of batches) {
    await learn(records)
    yield decoded(records)
  }
  function* decoded(records: readonly Uint8Array[]): Generator<Fact> {
    for (const record of records) yield codec.decode(record) as Fact
  }
}

async function* readInThread(workerData: WantedFacts): AsyncGenerator<Uint8Array[]> {
  const { call, ended } = startThread<FactsOfTenantThread>(
    new URL('./facts-of-tenant-thread.ts', import.meta.url),
    {},
    { workerData },
  )
  const askNext = () => {
    const next = call.next()
    next.catch(() => undefined) // Told when it is waited for, unless nobody does any more.
    return next
  }
  const asked = Array.from({ length: aheadMax }, askNext)
  try {
    for (;;) {
      const records = await asked.shift()
      if (!records) return
      asked.push(askNext())
      yield unpack(records)
    }
  } finally {
    call.close().catch(() => undefined) // It may be gone, which is all that is asked.
    await ended
  }
}
