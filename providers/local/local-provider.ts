/** The engines that run on this machine, in worker threads: no key, no network, nothing leaves the house. */
import { Tinypool } from 'tinypool'
import { type Call, type CallOutcome, noTokens, type Provider } from '../../capabilities/index.ts'
import type { LinearModel } from './linear-model.ts'
import type { Task, TaskResult } from './worker.ts'

export type LocalProviderOptions = {
  /** Worker threads; at least 1. */
  threads: number
  /** Bytes of fitted models kept in memory, most recently used first. */
  cacheBytesMax: number
}

const models: Readonly<Record<string, string>> = { 'classify.category': 'linear-1', 'classify.sentiment': 'vader-1' }

export function localProvider({ threads, cacheBytesMax }: LocalProviderOptions): Provider {
  let pool: Tinypool | undefined
  const fitted = new Map<string, { model: Promise<LinearModel>; bytes: number }>()

  /** Threads start with the first task: a process that only answers HTTP needs none. */
  function run<Kind extends Task['kind']>(task: Extract<Task, { kind: Kind }>): Promise<TaskResult<Kind>> {
    pool ??= new Tinypool({
      filename: new URL('./worker.ts', import.meta.url).href,
      runtime: 'worker_threads',
      minThreads: threads,
      maxThreads: threads,
      execArgv: [],
    })
    return pool.run(task)
  }

  /** Fitted at first use and then kept; several first uses at once wait for the same fit. A fit that failed is made again. */
  function modelOf(hash: string, content: Uint8Array): Promise<LinearModel> {
    const known = fitted.get(hash)
    const entry = known ?? { model: run({ kind: 'fit', content }), bytes: 0 }
    fitted.delete(hash)
    fitted.set(hash, entry)
    if (!known)
      entry.model.then(
        (model) => keep(entry, model),
        () => fitted.delete(hash),
      )
    return entry.model
  }

  function keep(entry: { bytes: number }, model: LinearModel): void {
    entry.bytes = model.weights.values.byteLength
    let total = [...fitted.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    for (const [hash, { bytes }] of fitted) {
      if (total <= cacheBytesMax || fitted.size === 1) return
      fitted.delete(hash)
      total -= bytes
    }
  }

  async function answer({ capability, input, resource }: Call): Promise<CallOutcome> {
    const { text } = input as { text: string } // Validated at the door.
    if (capability === 'classify.sentiment') {
      const { words, ...result } = await run<'sentiment'>({ kind: 'sentiment', text })
      return { ok: true, result, usage: usageOf(words) }
    }
    if (capability !== 'classify.category' || !resource) return { ok: false, code: 'PROVIDER_REJECTED' }
    const model = await modelOf(resource.hash, resource.content)
    const { words, ...result } = await run<'classify'>({ kind: 'classify', model, text })
    return { ok: true, result, usage: usageOf(words) }
  }

  return {
    name: 'local',
    pool: 'local',
    modelFor(capability, wanted) {
      const model = models[capability]
      return wanted === undefined || wanted === model ? model : undefined
    },
    call: (call, signal) =>
      signal.aborted ? Promise.resolve(cancelled) : Promise.race([answer(call), aborted(signal)]),
    async close() {
      await pool?.destroy()
      pool = undefined
    },
  }
}

const cancelled: CallOutcome = { ok: false, code: 'CANCELLED' }

/** One token per word that was read, and one for the label: counted here, never above the bound of a byte each. */
const usageOf = (words: number) => ({
  ...noTokens,
  inputUncachedTokens: BigInt(words),
  outputTokens: 1n,
  source: 'counted' as const,
})

/** What runs in a thread ends by itself, unused; the caller does not wait for it. */
const aborted = (signal: AbortSignal): Promise<CallOutcome> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(cancelled), { once: true }))
