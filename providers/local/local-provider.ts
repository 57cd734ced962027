/** The engines that run on this machine, in worker threads: no key, no network, nothing leaves the house. */
import { type Call, type CallOutcome, capabilityNamed, noTokens, type Provider } from '../../capabilities/index.ts'
import { unitsMax } from './features.ts'
import { modelCache } from './model-cache.ts'
import { type Pending, PoolError, workerPool } from './worker-pool.ts'

export type LocalProviderOptions = {
  /** Worker threads; at least 1. */
  threads: number
  /** Bytes of fitted models kept in memory, the most recently used. */
  cacheBytesMax: number
}

const models: Readonly<Record<string, string>> = { 'classify.category': 'linear-1', 'classify.sentiment': 'vader-1' }

/**
 * A call that is cancelled ends at once: if it waits for a thread it is taken out of the line, if it has one its work goes
 * unused. Repeating a call does the work again and gives the same answer. A call after `close` is PROVIDER_UNAVAILABLE.
 */
export function localProvider({ threads, cacheBytesMax }: LocalProviderOptions): Provider {
  const pool = workerPool({ threads })
  const cache = modelCache({ bytesMax: cacheBytesMax, fit: (content) => pool.start<'fit'>({ kind: 'fit', content }) })

  async function category(text: string, resource: Call['resource'], signal: AbortSignal): Promise<CallOutcome> {
    if (!resource) return { ok: false, code: 'INPUT_UNREADABLE' }
    const model = await cache.model(resource.hash, resource.content, signal)
    signal.throwIfAborted()
    const { words, ...result } = await untilAborted(pool.start<'classify'>({ kind: 'classify', model, text }), signal)
    return { ok: true, result, usage: usageOf(words) }
  }

  async function sentiment(text: string, signal: AbortSignal): Promise<CallOutcome> {
    const { words, ...result } = await untilAborted(pool.start<'sentiment'>({ kind: 'sentiment', text }), signal)
    return { ok: true, result, usage: usageOf(words) }
  }

  async function answer({ capability, input, resource }: Call, signal: AbortSignal): Promise<CallOutcome> {
    if (!Object.hasOwn(models, capability)) return { ok: false, code: 'PROVIDER_REJECTED' }
    const parsed = capabilityNamed(capability)?.inputSchema.safeParse(input)
    if (!parsed?.success) return { ok: false, code: 'INPUT_UNREADABLE' }
    // The rest is never looked at, so it need not be copied into a thread.
    const text = (parsed.data as { text: string }).text.slice(0, unitsMax)
    return capability === 'classify.category' ? category(text, resource, signal) : sentiment(text, signal)
  }

  return {
    name: 'local',
    pool: 'local',
    modelFor(capability, wanted) {
      const model = Object.hasOwn(models, capability) ? models[capability] : undefined
      return wanted === undefined || wanted === model ? model : undefined
    },
    async call(call, signal) {
      if (signal.aborted) return { ok: false, code: 'CANCELLED' }
      try {
        return await answer(call, signal)
      } catch (error) {
        if (signal.aborted) return { ok: false, code: 'CANCELLED' }
        if (error instanceof PoolError) return { ok: false, code: 'PROVIDER_UNAVAILABLE' }
        throw error
      }
    },
    close: () => pool.close(),
  }
}

/** One token per word that was read, of which each has at least one byte, and one for the label: counted here. */
const usageOf = (words: number) => ({
  ...noTokens,
  inputUncachedTokens: BigInt(words),
  outputTokens: 1n,
  source: 'counted' as const,
})

/** The task's result; rejects as soon as `signal` aborts. */
async function untilAborted<Result>({ result, drop }: Pending<Result>, signal: AbortSignal): Promise<Result> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => {
    drop()
    aborted.reject(new PoolError('Nobody waits any more.'))
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([result, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
