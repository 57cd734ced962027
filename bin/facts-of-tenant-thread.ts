/** Worker thread of `factsOfTenant`: opens the log for itself and answers each `next` with a batch. */
import { workerData } from 'node:worker_threads'
import { pack } from '../platform/log/pack.ts'
import { answerCalls } from '../platform/threads/threads.ts'
import { requireTls13 } from '../platform/tls.ts'
import { readConfig } from './config.ts'
import { borrowFoundation } from './foundation.ts'
import { recordsOfTenant, type WantedFacts } from './read-facts.ts'

export type FactsOfTenantThread = typeof answers

requireTls13()
const opening = borrowFoundation(readConfig(process.env))
const reading = opening.then((foundation) => recordsOfTenant(foundation, workerData as WantedFacts))
reading.catch(() => undefined) // Told to whoever asks.

const answers = {
  /** The next batch, packed: one piece crosses for less than thousands do. Undefined after the last. */
  async next() {
    const batches = await reading
    const { value: records } = await batches.next() // Asked twice, it gives one batch after the other.
    return records && pack(records)
  },
  async close() {
    await opening.then((foundation) => foundation.close()).catch(() => undefined)
    thread.close()
  },
}
const thread = answerCalls(answers)
