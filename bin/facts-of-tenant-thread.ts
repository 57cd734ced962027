/** Worker thread of `factsOfTenant`: opens the log for itself and answers each `next` with a batch. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Facts, type FailureCode, isFailure } from '../platform/errors.ts'
import { pack } from '../platform/log/pack.ts'
import { requireTls13 } from '../platform/tls.ts'
import { readConfig } from './config.ts'
import { borrowFoundation } from './foundation.ts'
import { recordsOfTenant, type WantedFacts } from './read-facts.ts'

export type ThreadAnswer =
  /** By `pack`: one piece crosses for less than thousands do. */
  | { kind: 'records'; starts: number[]; lengths: number[]; packed: Uint8Array }
  | { kind: 'end' }
  | { kind: 'failure'; code: FailureCode; facts: Facts }

if (parentPort === null) throw new Error('This file runs as a worker thread.')
requireTls13()
const port = parentPort
const opening = borrowFoundation(readConfig(process.env))
const reading = opening.then((foundation) => recordsOfTenant(foundation, workerData as WantedFacts))
reading.catch(() => undefined) // Told to whoever asks.

port.on('message', async (message: 'next' | 'close') => {
  if (message === 'close') {
    await opening.then((foundation) => foundation.close()).catch(() => undefined)
    return port.close()
  }
  try {
    const batches = await reading
    const { value: records } = await batches.next() // Asked twice, it gives one batch after the other.
    answer(records ? { kind: 'records', ...pack(records) } : { kind: 'end' })
  } catch (error) {
    // Classes do not cross threads.
    if (!isFailure(error)) throw error
    answer({ kind: 'failure', code: error.code, facts: error.facts })
  }
})

const answer = (what: ThreadAnswer): void => port.postMessage(what)
