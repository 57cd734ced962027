/** Worker thread of `factsOfTenant`: opens the log for itself and answers each `next` with a batch. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Facts, type FailureCode, isFailure } from '../platform/errors.ts'
import { requireTls13 } from '../platform/tls.ts'
import { readConfig } from './config.ts'
import { borrowFoundation } from './foundation.ts'
import { recordsOfTenant, type WantedFacts } from './read-facts.ts'

export type ThreadAnswer =
  /** One after the other in `bytes`, so that they are handed over as one and not copied. */
  | { kind: 'records'; bytes: ArrayBuffer; sizes: Uint32Array<ArrayBuffer> }
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
    if (!records) return answer({ kind: 'end' })
    const { bytes, sizes } = packed(records)
    answer({ kind: 'records', bytes, sizes }, [bytes, sizes.buffer])
  } catch (error) {
    // Classes do not cross threads.
    if (!isFailure(error)) throw error
    answer({ kind: 'failure', code: error.code, facts: error.facts })
  }
})

const answer = (what: ThreadAnswer, handedOver: ArrayBuffer[] = []): void => port.postMessage(what, handedOver)

function packed(records: readonly Uint8Array[]) {
  const sizes = Uint32Array.from(records, ({ byteLength }) => byteLength)
  const bytes = new ArrayBuffer(sizes.reduce((sum, size) => sum + size, 0))
  const all = new Uint8Array(bytes)
  let at = 0
  for (const record of records) {
    all.set(record, at)
    at += record.byteLength
  }
  return { bytes, sizes }
}
