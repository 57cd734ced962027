/**
 * Providers whose every call may go wrong, and which see to it that no call leaves that the log does not know of, and none
 * twice. Local engines may be called before, and in vain: by an owner that was replaced, or whose commit came to nothing.
 */
import { type Call, type CallOutcome, noTokens, type Provider } from '../../capabilities/index.ts'
import type { Faults } from './faults.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

export type KnownJob = { inputTokensMax: bigint; outputTokensMax: bigint }

export type ProviderWorld = {
  scheduler: Scheduler
  faults: Faults
  random: SimRandom
  /** What the log says of a call's job; undefined when no attempt of that id has been started there. */
  startedJob(call: Call): KnownJob | undefined
  violated(what: string): void
  /** Longest call, in milliseconds. */
  callMsMax: number
  /** Share of the calls of local engines that are done at once. */
  instantShare: number
}

const models: Record<string, Record<string, string>> = {
  local: { 'classify.category': 'linear-1', 'classify.sentiment': 'vader-1' },
  scripted: { 'classify.sentiment': 'scripted-1', 'generate.text': 'scripted-1' },
}

/** A local engine is often done before the commit that it has begun. */
const instantMsMax = 15

export function simProviders(world: ProviderWorld): Provider[] {
  const called = new Set<string>()
  return Object.entries(models).map(([name, byCapability]) => ({
    name,
    pool: name === 'local' ? 'local' : 'remote',
    modelFor(capability, wanted) {
      const model = byCapability[capability]
      return wanted === undefined || wanted === model ? model : undefined
    },
    call(call, signal) {
      const job = world.startedJob(call)
      if (name === 'local') {
        const soonMsMax = world.random.chance(world.instantShare) ? instantMsMax : world.callMsMax
        return answer(job ?? { inputTokensMax: 1n, outputTokensMax: call.outputTokensMax }, signal, soonMsMax, world)
      }
      if (called.has(call.attemptId)) world.violated(`attempt ${call.attemptId} was called twice`)
      called.add(call.attemptId)
      if (job) return answer(job, signal, world.callMsMax, world)
      world.violated(`attempt ${call.attemptId} was called before the log had it`)
      return Promise.resolve({ ok: false, code: 'PROVIDER_REJECTED' })
    },
    close: async () => {},
  }))
}

function answer(
  job: KnownJob,
  signal: AbortSignal,
  callMsMax: number,
  { faults, random, scheduler }: ProviderWorld,
): Promise<CallOutcome> {
  const outcome = drawOutcome(job, faults, random)
  return new Promise((resolve) => {
    const takeBack =
      outcome === 'never' ? () => {} : scheduler.after(random.fraction() * callMsMax, () => resolve(outcome))
    const abort = () => {
      takeBack()
      // Some providers charge for what they did until then.
      const usage = random.chance(0.5) ? { usage: usageOf(job, random) } : {}
      scheduler.after(random.fraction() * 20, () => resolve({ ok: false, code: 'CANCELLED', ...usage }))
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

function drawOutcome(job: KnownJob, faults: Faults, random: SimRandom): CallOutcome | 'never' {
  if (faults.happens('providerTimeout')) return 'never'
  if (faults.happens('providerError')) {
    const usage = random.chance(0.3) ? { usage: usageOf(job, random) } : {}
    return { ok: false, code: random.pick(['PROVIDER_UNAVAILABLE', 'PROVIDER_REJECTED'] as const), ...usage }
  }
  if (faults.happens('providerRateLimit'))
    return { ok: false, code: 'PROVIDER_RATE_LIMITED', retryAfterMs: random.whole(1, 3_000) }
  if (faults.happens('providerMalformed')) return { ok: false, code: 'PROVIDER_MALFORMED' }
  const result = { text: String(random.whole(0, 9)) }
  if (faults.happens('usageAboveHold')) {
    // A little, or so much that it passes what the caller accepts to pay.
    const times = BigInt(random.pick([1, 1, 5, 100]))
    const outputTokens = job.outputTokensMax * times + BigInt(random.whole(1, 50))
    const usage = { ...usageOf(job, random), outputTokens }
    return { ok: true, result, usage }
  }
  if (faults.happens('usageImpossible'))
    return { ok: true, result, usage: { ...usageOf(job, random), outputTokens: -1n } }
  return { ok: true, result, usage: usageOf(job, random) }
}

/** Somewhere below the bounds. */
function usageOf({ inputTokensMax, outputTokensMax }: KnownJob, random: SimRandom) {
  const input = BigInt(random.whole(0, Number(inputTokensMax)))
  const read = BigInt(random.whole(0, Number(input)))
  const output = BigInt(random.whole(0, Number(outputTokensMax)))
  return {
    ...noTokens,
    inputUncachedTokens: input - read,
    inputCacheReadTokens: read,
    outputTokens: output,
    reasoningTokens: BigInt(random.whole(0, Number(output))),
    source: random.pick(['provider', 'counted'] as const),
  }
}
