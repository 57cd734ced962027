/**
 * The facts of one tenant, for whoever does much with each of them: on Kafka another thread reads them, so that reading and
 * taking in go on side by side. A built-in database is another thread already, and opens its files once only.
 */
import { on, once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { PlatformError } from '../platform/errors.ts'
import { unpack } from '../platform/log/pack.ts'
import type { Fact } from '../schemas/events.generated.ts'
import type { ThreadAnswer } from './facts-of-tenant-thread.ts'
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
  const thread = new Worker(new URL('./facts-of-tenant-thread.ts', import.meta.url), { workerData, execArgv: [] })
  const exited = once(thread, 'exit').catch(() => undefined) // What it died of is told below.
  const answers = on(thread, 'message', { close: ['exit'] }) as AsyncIterable<[ThreadAnswer]>
  for (let asked = 0; asked < aheadMax; asked++) thread.postMessage('next')
  try {
    for await (const [answer] of answers) {
      if (answer.kind === 'end') return
      if (answer.kind === 'failure') throw new PlatformError(answer.code, answer.facts)
      thread.postMessage('next')
      yield unpack(answer)
    }
    throw new Error('The thread that reads the log has ended.')
  } finally {
    thread.postMessage('close')
    await exited
  }
}
