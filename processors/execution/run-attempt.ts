/**
 * Makes one call to a provider: input out of the vault, the call, result into the vault. Reports what happened as an
 * outcome; what that means is decided elsewhere. Rebuilding state from the log calls nobody.
 */
import {
  type CallOutcome,
  type Capability,
  noTokens,
  type Provider,
  type UsageReport,
} from '../../capabilities/index.ts'
import { batcher } from '../../platform/batcher.ts'
import { type Clock, sleep } from '../../platform/clock.ts'
import { failures, isFailure } from '../../platform/errors.ts'
import type { FreshContents } from '../../platform/vault/fresh-content.ts'
import { isDamageOf, type PayloadReceipt, type PayloadVault } from '../../platform/vault/vault.ts'
import { isCredibleUsage } from '../../pricing/index.ts'
import { idWithin } from '../../schemas/ids.ts'
import { type EpochMicros, microsFromMs, msFromMicros } from '../../schemas/units.ts'
import type { Outcome } from './decide.ts'
import { resourceContents, type Wanted } from './resource-contents.ts'
import type { OpenAttempt, OpenJob } from './state.ts'

export type AttemptRunner = {
  /**
   * Never rejects. Aborting `signal` ends the call early, as does the attempt's deadline. `resourceRef` is where the
   * vault keeps the job's resource; null when it needs none. Called at most once per attempt that the log knows: of a
   * remote provider after AttemptStarted is committed, of a local engine perhaps before, and then again when that commit
   * came to nothing. The attempt's id goes to the provider as idempotency key.
   */
  run(job: OpenJob, attempt: OpenAttempt, resourceRef: string | null, signal: AbortSignal): Promise<Outcome>
  /** Forgets the contents that it keeps, at once. */
  close(): void
}

export type AttemptRunnerParts = {
  vault: PayloadVault
  /** Inputs that this process has just stored, where what is not there is read from the vault; and results, for whoever waits for them. */
  fresh?: Pick<FreshContents, 'keep' | 'take'>
  providers: readonly Provider[]
  capabilityNamed: (name: string) => Capability | undefined
  clock: Clock
  /** Told of faults of PF-3 itself or of an adapter; the attempt then fails like any other. */
  onFault: (error: unknown, jobId: string) => void
}

/** Payloads fetched or stored in one transaction. */
const batchMax = 64
const waitingMax = 100_000
/** An adapter that does not end within this time after being told to is left behind. */
const abortGraceMs = 2_000
/** Between two tries to read what a job needs: nothing was asked of a provider yet, so only the deadline ends it. */
const readWaitMs = 500
/** Tries to keep a result before the attempt counts as of unknown outcome: with their waits, 52 s. */
const keepTriesMax = 20
const keepWaitMs = 250

export function attemptRunner({
  vault,
  fresh,
  providers,
  capabilityNamed,
  clock,
  onFault,
}: AttemptRunnerParts): AttemptRunner {
  const fetch = batcher<Wanted, Uint8Array | undefined>(
    async (wanted) => {
      const found = await vault.getMany(wanted)
      return wanted.map(({ ref }) => found.get(ref))
    },
    { itemsMax: batchMax, waitingMax, isFaultOf: isDamageOf },
  )
  type Kept = { tenantId: string; ref: string; content: Uint8Array }
  const keep = batcher<Kept, PayloadReceipt>(
    async (results) => {
      const receipts = await vault.put(results.map((result) => ({ ...result, class: 'day' as const })))
      for (const result of results) fresh?.keep(result)
      return receipts
    },
    { itemsMax: batchMax, waitingMax, isFaultOf: isDamageOf },
  )
  const resources = resourceContents({ vault, read: fetch, clock })

  async function call(
    job: OpenJob,
    attempt: OpenAttempt,
    resourceRef: string | null,
    { signal, isOver }: Timed,
  ): Promise<CallOutcome> {
    if (isOver()) return { ok: false, code: 'CANCELLED' }
    const provider = providers.find((p) => p.name === attempt.provider)
    if (!provider) return { ok: false, code: 'PROVIDER_UNAVAILABLE' }
    const { tenantId, jobId, submitted } = job
    const input = { tenantId, ref: submitted.payloadRef }
    const [stored, content] = await Promise.all([
      fresh?.take(input) ?? patiently(jobId, signal, () => fetch(input)),
      resourceRef === null
        ? undefined
        : patiently(jobId, signal, () => resources.content({ tenantId, ref: resourceRef })),
    ])
    if (!stored || (resourceRef !== null && !content)) return { ok: false, code: 'INPUT_UNREADABLE' }
    const asked = JSON.parse(new TextDecoder().decode(stored)) as { input: unknown; params: unknown }
    if (isOver()) return { ok: false, code: 'CANCELLED' }
    return provider.call(
      {
        tenantId,
        jobId,
        attemptId: attempt.attemptId,
        capability: submitted.capability,
        model: attempt.model,
        input: asked.input,
        params: asked.params,
        outputTokensMax: submitted.outputTokensMax,
        ...(content && job.admitted.resourceHash !== null
          ? { resource: { hash: job.admitted.resourceHash, content } }
          : {}),
      },
      signal,
    )
  }

  /** A vault that is away for a while costs time, not attempts. */
  async function patiently<Read>(jobId: string, signal: AbortSignal, read: () => Promise<Read>): Promise<Read> {
    for (;;) {
      try {
        return await read()
      } catch (error) {
        if (!isFailure(error) || !error.canRetry || signal.aborted) throw error
        onFault(error, jobId)
        await sleep(clock, readWaitMs, signal)
      }
    }
  }

  async function keepResult(job: OpenJob, attempt: OpenAttempt, result: unknown): Promise<PayloadReceipt | undefined> {
    // With the moment of the start: what a start that was never committed has left under its own ref is nobody's.
    const ref = idWithin(job.jobId, 'res', job.tenantId, job.jobId, attempt.attemptNo, attempt.startedAt)
    const content = new TextEncoder().encode(JSON.stringify(result))
    for (let tries = 1; tries <= keepTriesMax; tries++) {
      try {
        return await keep({ tenantId: job.tenantId, ref, content })
      } catch (error) {
        onFault(error, job.jobId)
        await sleep(clock, keepWaitMs * tries)
      }
    }
    return undefined
  }

  return {
    async run(job, attempt, resourceRef, signal) {
      const startedMs = clock.nowMs()
      const timed = withDeadline(clock, signal, attempt.deadlineAt)
      const outcome = await Promise.race([
        call(job, attempt, resourceRef, timed).catch((error: unknown): CallOutcome => {
          onFault(error, job.jobId)
          return { ok: false, code: 'PROVIDER_UNAVAILABLE' }
        }),
        leftBehind(clock, timed.signal),
      ])
      timed.clear()
      const base = {
        jobId: job.jobId,
        attemptId: attempt.attemptId,
        durationMs: Math.max(0, clock.nowMs() - startedMs),
      }
      const usage = outcome.usage ? trusted(outcome.usage, job) : null
      if (!outcome.ok) {
        const code =
          outcome.code === 'CANCELLED' && timed.isLate() && !signal.aborted ? 'PROVIDER_TIMEOUT' : outcome.code
        return {
          ...base,
          ok: false,
          code,
          canRetry: failures[code].canRetry,
          retryAfterMs: outcome.retryAfterMs ?? 0,
          usage,
        }
      }
      const result = await keepResult(job, attempt, outcome.result)
      if (result) return { ...base, ok: true, result, usage: trusted(outcome.usage, job) }
      const canRetry = capabilityNamed(job.submitted.capability)?.canRepeat ?? false
      return { ...base, ok: false, code: 'OUTCOME_UNKNOWN', canRetry, retryAfterMs: 0, usage }
    },
    close: resources.close,
  }
}

/** Figures that cannot be true (below 0, above all measure, reasoning above output) are not rated: the bound takes their place, marked as estimated. */
function trusted(usage: UsageReport, job: OpenJob): UsageReport {
  if (isCredibleUsage(usage)) return usage
  const { inputTokensMax, outputTokensMax } = job.submitted
  return { ...noTokens, inputUncachedTokens: inputTokensMax, outputTokens: outputTokensMax, source: 'estimated' }
}

/**
 * The timer of a deadline is never early, or a job that ran into its own would be told of a timeout: a millisecond for the
 * microseconds that are cut off, and one because Node's timers come up to one too early.
 */
const roundedMs = 2

type Timed = {
  /** Follows the outer signal, and aborts also once the deadline has come. */
  signal: AbortSignal
  /** Looks at the clock: a timer comes only once the process has time for it, and nothing may begin until then. */
  isOver(): boolean
  isLate(): boolean
  clear(): void
}

function withDeadline(clock: Clock, outer: AbortSignal, deadlineAt: EpochMicros): Timed {
  const inner = new AbortController()
  let isLate = false
  const abort = () => inner.abort()
  const tooLate = () => {
    isLate = true
    abort()
  }
  if (outer.aborted) abort()
  outer.addEventListener('abort', abort, { once: true })
  const cancel = clock.after(Math.max(0, msFromMicros(deadlineAt) + roundedMs - clock.nowMs()), tooLate)
  return {
    signal: inner.signal,
    isOver() {
      if (!inner.signal.aborted && microsFromMs(clock.nowMs()) >= deadlineAt) tooLate()
      return inner.signal.aborted
    },
    isLate: () => isLate,
    clear() {
      cancel()
      outer.removeEventListener('abort', abort)
    },
  }
}

function leftBehind(clock: Clock, signal: AbortSignal): Promise<CallOutcome> {
  return new Promise((resolve) => {
    const wait = () => clock.after(abortGraceMs, () => resolve({ ok: false, code: 'CANCELLED' }))
    if (signal.aborted) wait()
    else signal.addEventListener('abort', wait, { once: true })
  })
}
