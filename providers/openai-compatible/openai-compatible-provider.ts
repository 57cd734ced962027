/** Any endpoint that speaks OpenAI's chat completions, through the `openai` package with its own retries off. */
import type OpenAI from 'openai'
import type { Call, CallOutcome, Provider, UsageReport } from '../../capabilities/index.ts'
import { noTokens } from '../../capabilities/index.ts'

export type OpenAiCompatibleOptions = {
  /** Name the provider has in routes, price books and facts. */
  name: string
  /** For example https://host/v1. Plain http is taken for loopback addresses only. */
  baseUrl: string
  apiKey: string
  /** Models it serves; the first is used when the caller wants none in particular. At least one. */
  models: readonly string[]
}

/** Bytes of an answer that are read; a longer one is malformed. */
const answerBytesMax = 8 * 1_048_576

/**
 * One call is one HTTP request: retries are the owner's decision. The SDK's `idempotencyKey` option sends nothing
 * (openai-node never names its header), so the attempt's id goes out as a header of our own. Throws for a base URL that is
 * neither https nor loopback.
 */
export function openAiCompatibleProvider({ name, baseUrl, apiKey, models }: OpenAiCompatibleOptions): Provider {
  refusePlainText(baseUrl)
  let client: Promise<OpenAI> | undefined

  // Loaded with the first call: the package is large, and most starts do not need it.
  const connect = () =>
    (client ??= import('openai').then(
      ({ OpenAI: Client }) =>
        new Client({ baseURL: baseUrl, apiKey, maxRetries: 0, fetch: boundedFetch, logLevel: 'off' }),
    ))

  async function complete(call: Call, signal: AbortSignal): Promise<CallOutcome> {
    const { prompt } = call.input as { prompt: string } // Validated at the door.
    const openai = await connect()
    const answer = await openai.chat.completions.create(
      {
        model: call.model,
        messages: [{ role: 'user', content: prompt }],
        max_completion_tokens: Number(call.outputTokensMax),
      },
      { signal, headers: { 'Idempotency-Key': call.attemptId }, timeout: 2 ** 31 - 1 }, // The attempt's own deadline aborts the signal.
    )
    const usage = usageOf(answer.usage, call)
    const text = answer.choices?.[0]?.message?.content
    if (typeof text !== 'string') return { ok: false, code: 'PROVIDER_MALFORMED', usage }
    return { ok: true, result: { text }, usage }
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
      try {
        return await complete(call, signal)
      } catch (error) {
        return signal.aborted ? { ok: false, code: 'CANCELLED' } : failureOf(error)
      }
    },
    async close() {},
  }
}

type Reported = OpenAI.CompletionUsage | undefined | null

/**
 * OpenAI's prompt_tokens include the cached ones, and its completion_tokens the reasoning ones; ours are disjoint. A report
 * that is absent is not a report of 0: the bound takes its place, marked as estimated.
 */
function usageOf(reported: Reported, call: Call): UsageReport {
  if (!reported || !Number.isSafeInteger(reported.prompt_tokens) || !Number.isSafeInteger(reported.completion_tokens)) {
    const inputTokens = BigInt(Buffer.byteLength((call.input as { prompt: string }).prompt)) + 16n
    return { ...noTokens, inputUncachedTokens: inputTokens, outputTokens: call.outputTokensMax, source: 'estimated' }
  }
  const cached = whole(reported.prompt_tokens_details?.cached_tokens)
  const raw = JSON.stringify(reported, (_, value: unknown) =>
    typeof value === 'number' || (typeof value === 'object' && value !== null) ? value : undefined,
  )
  return {
    inputUncachedTokens: BigInt(reported.prompt_tokens) - cached,
    inputCacheReadTokens: cached,
    inputCacheWriteTokens: 0n,
    outputTokens: BigInt(reported.completion_tokens),
    reasoningTokens: whole(reported.completion_tokens_details?.reasoning_tokens),
    source: 'provider',
    raw,
  }
}

const whole = (value: number | undefined | null): bigint => (Number.isSafeInteger(value) ? BigInt(value ?? 0) : 0n)

function failureOf(error: unknown): CallOutcome {
  const status = fieldOf(error, 'status')
  if (typeof status !== 'number') {
    const isAnswer = error instanceof SyntaxError || (error instanceof Error && error.message.startsWith(tooLong))
    return { ok: false, code: isAnswer ? 'PROVIDER_MALFORMED' : 'PROVIDER_UNAVAILABLE' }
  }
  if (status === 429) return { ok: false, code: 'PROVIDER_RATE_LIMITED', retryAfterMs: retryAfterMs(error) }
  if (status === 408 || status === 504) return { ok: false, code: 'PROVIDER_TIMEOUT' }
  if (status >= 500 || status < 400)
    return { ok: false, code: 'PROVIDER_UNAVAILABLE', retryAfterMs: retryAfterMs(error) }
  if (status === 401 || status === 403) return { ok: false, code: 'PROVIDER_UNAVAILABLE' } // The key, not the input.
  return { ok: false, code: 'PROVIDER_REJECTED' }
}

/** Retry-After in seconds or as a date; 0 when there is none. At most an hour is believed. */
function retryAfterMs(error: unknown): number {
  const headers = fieldOf(error, 'headers')
  const text = headers instanceof Headers ? headers.get('retry-after') : null
  if (text === null) return 0
  const seconds = Number(text)
  const waitMs = Number.isFinite(seconds)
    ? seconds * 1_000
    : Date.parse(text) - Date.parse(headers instanceof Headers ? (headers.get('date') ?? '') : '')
  return Number.isFinite(waitMs) ? Math.min(3_600_000, Math.max(0, waitMs)) : 0
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined

const tooLong = 'The answer is longer than'

/** No redirects (the key would travel along), and no answer without end. */
async function boundedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: 'manual' })
  const reader = response.body?.getReader()
  if (!reader) return response
  const chunks: Uint8Array[] = []
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    bytes += value.byteLength
    if (bytes > answerBytesMax) {
      await reader.cancel()
      throw new Error(`${tooLong} ${answerBytesMax} bytes.`)
    }
    chunks.push(value)
  }
  const isEmpty = [101, 204, 205, 304].includes(response.status)
  return new Response(isEmpty ? null : Buffer.concat(chunks), { status: response.status, headers: response.headers })
}

function refusePlainText(baseUrl: string): void {
  const { protocol, hostname } = new URL(baseUrl)
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback)) return
  throw new Error(`A provider's address must be https, or http on loopback; ${protocol}//${hostname} is neither.`)
}
