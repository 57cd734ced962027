/** Any endpoint that speaks OpenAI's chat completions, through the `openai` package with its own retries off. */
import type OpenAI from 'openai'
import { z } from 'zod'
import { type Call, type CallOutcome, inputTokensMaxOf, type Provider } from '../../capabilities/index.ts'
import { holdsLogin, isSafeUrl } from '../../platform/safe-url.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { failureOf } from './failures.ts'
import { usageOf } from './usage.ts'

export type OpenAiCompatibleOptions = {
  /** Name the provider has in routes, price books and facts. */
  name: string
  /** For example https://host/v1. Plain http is taken for loopback addresses only. */
  baseUrl: string
  apiKey: string
  /** Models it serves; the first is used when the caller wants none in particular. At least one. */
  models: readonly string[]
  /** Longest call from connecting to the end of the answer: 1 to `timeoutMsMax`, which is the default. */
  timeoutMs?: number
}

/** As long as Node's fetch waits for headers. */
export const timeoutMsMax = 300_000

const inputSchema = z.object({ prompt: z.string() })
const answerSchema = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }) }))
    .min(1),
})
const usageSchema = z.object({ usage: z.unknown() })

/**
 * One call is one HTTP request: retries are the owner's decision. The SDK's `idempotencyKey` option sends nothing
 * (openai-node never names its header), so the attempt's id goes out as a header of our own: a call that is repeated under
 * the same attempt id is the provider's to recognise. Throws a RangeError or TypeError for options that cannot work.
 */
export function openAiCompatibleProvider(options: OpenAiCompatibleOptions): Provider {
  const { name, baseUrl, apiKey, models, timeoutMs = timeoutMsMax } = options
  refuseWrongOptions(options, timeoutMs)
  const closing = new AbortController()
  let loaded: ReturnType<typeof load> | undefined

  // Loaded with the first call: the package is large, and most starts do not need it.
  async function load() {
    const sdk = await import('openai')
    const client = new sdk.OpenAI({
      baseURL: baseUrl,
      apiKey,
      // Null rather than nothing, or they are taken from the environment.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      timeout: timeoutMs,
      fetch: boundedFetch,
      logLevel: 'off',
    })
    return { client, isTimeout: (error: unknown) => error instanceof sdk.APIConnectionTimeoutError }
  }

  async function complete(client: OpenAI, call: Call, prompt: string, signal: AbortSignal): Promise<CallOutcome> {
    const answer: unknown = await client.chat.completions.create(
      {
        model: call.model,
        messages: [{ role: 'user', content: prompt }],
        max_completion_tokens: Number(call.outputTokensMax),
      },
      { signal, headers: { Authorization: `Bearer ${apiKey}`, 'Idempotency-Key': call.attemptId } },
    )
    const bound = { inputTokensMax: inputTokensMaxOf(prompt), outputTokensMax: call.outputTokensMax }
    const usage = usageOf(usageSchema.safeParse(answer).data?.usage, bound)
    const message = answerSchema.safeParse(answer).data?.choices[0]?.message
    if (typeof message?.content === 'string')
      return { ok: true, result: { text: message.content.toWellFormed() }, usage }
    return { ok: false, code: typeof message?.refusal === 'string' ? 'PROVIDER_REJECTED' : 'PROVIDER_MALFORMED', usage }
  }

  return {
    name,
    pool: 'remote',
    modelFor(capability, wanted) {
      if (capability !== 'generate.text') return undefined
      return wanted === undefined ? models[0] : models.find((model) => model === wanted)
    },
    async call(call, signal) {
      if (signal.aborted) return { ok: false, code: 'CANCELLED' }
      if (closing.signal.aborted) return { ok: false, code: 'PROVIDER_UNAVAILABLE' }
      if (call.capability !== 'generate.text') return { ok: false, code: 'PROVIDER_REJECTED' }
      const input = inputSchema.safeParse(call.input)
      if (!input.success) return { ok: false, code: 'INPUT_UNREADABLE' }
      loaded ??= load()
      const { client, isTimeout } = await loaded
      try {
        return await complete(client, call, input.data.prompt, AbortSignal.any([signal, closing.signal]))
      } catch (error) {
        return signal.aborted ? { ok: false, code: 'CANCELLED' } : failureOf(error, isTimeout(error))
      }
    },
    /** Hangs up on calls under way: they end as PROVIDER_UNAVAILABLE, as does every later one. */
    async close() {
      closing.abort()
    },
  }
}

function refuseWrongOptions({ baseUrl, apiKey, models }: OpenAiCompatibleOptions, timeoutMs: number): void {
  const { protocol, hostname } = new URL(baseUrl)
  if (holdsLogin(baseUrl)) throw new RangeError("A provider's address must not hold a user or password.")
  if (!isSafeUrl(baseUrl)) {
    throw new RangeError(
      `A provider's address must be https, or http on loopback; ${protocol}//${hostname} is neither.`,
    )
  }
  if (apiKey === '') throw new RangeError('A provider needs an API key; any text will do where none is asked for.')
  if (models.length === 0) throw new RangeError('A provider needs at least one model.')
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > timeoutMsMax) {
    throw new RangeError(`A call's timeout must be a whole number of milliseconds from 1 to ${timeoutMsMax}.`)
  }
}
