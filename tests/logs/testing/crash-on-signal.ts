/** Loaded into a service before it starts: on SIGUSR2 it warns, then fails where nobody handles it, quoting CANARY. */
import { isMainThread } from 'node:worker_threads'

const canary = process.env['CANARY'] ?? ''

if (isMainThread) {
  process.once('SIGUSR2', () => {
    process.emitWarning(`something about ${canary}`, { code: 'CANARY', detail: canary })
    setImmediate(() => {
      const error = Object.assign(new TypeError(`cannot read ${canary}`, { cause: { canary } }), { detail: canary })
      if (process.env['CRASH'] === 'rejection') void Promise.reject(error)
      else if (process.env['CRASH'] === 'no error') void Promise.reject({ canary })
      else throw error
    })
  })
}
