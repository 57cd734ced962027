/**
 * A provider that does what a script says, over real HTTP, for tests and development: OpenAI's chat completions with
 * latency, errors, rate limits, usage, damage and silence on demand.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type Act, player, type Rule } from './script.ts'

export type ScriptedProviderOptions = {
  /** Port on 127.0.0.1; a free one without it. */
  port?: number
  script?: readonly Rule[]
  /** What shares are drawn from; 1 without it. */
  seed?: number
  /** A key that was answered before gets the same answer again, and no rule is used up; off without it. */
  isIdempotent?: boolean
}

export type ScriptedCall = { attemptId: string; prompt: string; model: string; maxTokens: number }

export type ScriptedProvider = {
  /** For example http://127.0.0.1:41234/v1 */
  baseUrl: string
  /** Calls received so far, oldest first; the first `callsKeptMax` are kept, of each prompt the beginning. */
  calls(): readonly ScriptedCall[]
  /** How many calls were received. */
  callCount(): number
  /** Attempts that were called more than once, among the calls kept. */
  repeatedAttemptIds(): string[]
  /** Replaces the script; its draws begin anew, and what was answered before is forgotten. */
  play(rules: readonly Rule[]): void
  /** Hangs up on everybody and stops. Safe to call twice. */
  close(): Promise<void>
}

const callsKeptMax = 100_000
const promptKeptMax = 1_000
const answersKeptMax = 10_000
/** A prompt of the largest size, every byte of it escaped. */
const bodyBytesMax = 8 * 1_048_576

const requestSchema = z.object({
  model: z.string(),
  messages: z.array(z.object({ content: z.string() })),
  max_completion_tokens: z.int().optional(),
})
type Request = z.infer<typeof requestSchema>
type Answer = { status: number; headers: Record<string, string>; body: string }

export async function startScriptedProvider(options: ScriptedProviderOptions = {}): Promise<ScriptedProvider> {
  const { port = 0, script = [], seed = 1, isIdempotent = false } = options
  const calls: ScriptedCall[] = []
  const answers = new Map<string, Answer>()
  const closing = new AbortController()
  let received = 0
  let actFor = player(script, seed)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
      return send(response, failure(404, 'There is nothing here.'))
    }
    const asked = await readRequest(request)
    if (!asked) return send(response, failure(400, 'This is no chat completion request.'))
    const prompt = asked.messages.map(({ content }) => content).join('\n')
    const attemptId = String(request.headers['idempotency-key'] ?? '')
    received += 1
    if (calls.length < callsKeptMax) {
      const maxTokens = asked.max_completion_tokens ?? 0
      calls.push({ attemptId, prompt: prompt.slice(0, promptKeptMax), model: asked.model, maxTokens })
    }
    const known = isIdempotent ? answers.get(attemptId) : undefined
    if (known) return send(response, { ...known, headers: { ...known.headers, 'idempotent-replayed': 'true' } })
    const act = actFor({ nth: received, prompt, attemptId, headers: request.headers })
    if (act.latencyMs) await sleep(act.latencyMs, undefined, { signal: closing.signal })
    if (act.breaks === 'hang') return
    if (act.breaks === 'reset') return void response.destroy()
    const answer = answerOf(act, prompt, asked.model)
    if (isIdempotent && attemptId !== '' && answers.size < answersKeptMax) answers.set(attemptId, answer)
    if (act.breaks === 'cut') cut(response, answer)
    else send(response, answer)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((problem: unknown) => {
      // Whoever asked has hung up, or everybody is sent away.
      response.destroy(problem instanceof Error ? problem : undefined)
    })
  })
  server.requestTimeout = 0 // A provider that never answers is never the first to give up.
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: taken } = server.address() as AddressInfo

  return {
    baseUrl: `http://127.0.0.1:${taken}/v1`,
    calls: () => calls,
    callCount: () => received,
    repeatedAttemptIds() {
      const seen = new Set<string>()
      return calls.flatMap(({ attemptId }) => (seen.size === seen.add(attemptId).size ? [attemptId] : []))
    },
    play(rules) {
      actFor = player(rules, seed)
      answers.clear()
    },
    async close() {
      if (!server.listening) return
      closing.abort()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

const json = { 'content-type': 'application/json' }

const failure = (status: number, message: string): Answer => ({
  status,
  headers: json,
  body: JSON.stringify({ error: { message, type: 'scripted' } }),
})

function answerOf(act: Act, prompt: string, model: string): Answer {
  const { status, retryAfter, body, breaks } = act
  const extra = { ...act.headers, ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }) }
  const plain =
    status === undefined ? { status: 200, headers: json, body: '' } : failure(status, `The script says ${status}.`)
  const answer = { ...plain, headers: { ...plain.headers, ...extra } }
  if (body !== undefined) return { ...answer, body }
  if (breaks === 'malformed') return { ...answer, body: '{"choices": [' }
  if (breaks === 'empty') return { ...answer, body: JSON.stringify({ choices: [] }) }
  return status === undefined ? { ...answer, body: JSON.stringify(completion(act, prompt, model)) } : answer
}

function completion(act: Act, prompt: string, model: string): object {
  const text = act.text ?? prompt.toUpperCase()
  const tokens = (words: string) => Math.ceil(Buffer.byteLength(words) / 4)
  const figures = act.usage === undefined ? { prompt: tokens(prompt), completion: tokens(text) } : act.usage
  return {
    id: 'chatcmpl-scripted',
    object: 'chat.completion',
    created: 0,
    model,
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: text } }],
    ...(figures === null ? {} : { usage: toApiUsage(figures) }),
  }
}

const toApiUsage = ({ prompt, completion, cached = 0, reasoning = 0 }: NonNullable<Act['usage']>) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: reasoning },
})

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** Promises the whole body, sends half of it and hangs up. */
function cut(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.write(body.slice(0, body.length / 2), () => response.destroy())
}

/** Undefined for a body that is too large, no JSON, or no chat completion request. */
async function readRequest(request: IncomingMessage): Promise<Request | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk) // The rest is read and dropped, so that the refusal arrives.
  }
  if (bytes > bodyBytesMax) return undefined
  try {
    return requestSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  } catch {
    return undefined
  }
}
