/**
 * A provider that does what a script says, over real HTTP, for tests and development: OpenAI's chat completions with
 * latency, errors, rate limits, usage, damage and silence on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What the provider does with a call; everything is optional. */
export type Act = {
  /** Waits this long before anything else, in milliseconds. */
  latencyMs?: number
  /** Answers with this HTTP status and an error body. */
  status?: number
  /** Sent as Retry-After, as it is. */
  retryAfter?: string
  /** The answer's text; the prompt in capital letters otherwise. */
  text?: string
  /** Token figures; null leaves the report out. Default: 1 per 4 bytes of prompt, 1 per 4 bytes of text. */
  usage?: { prompt: number; completion: number; cached?: number; reasoning?: number } | null
  /** `malformed`: not JSON; `empty`: JSON without an answer; `hang`: never answers; `reset`: hangs up before the headers; `cut`: in the middle of the body. */
  breaks?: 'malformed' | 'empty' | 'hang' | 'reset' | 'cut'
}

/** The first rule that fits a call is used up by `times` calls and then passed over. */
export type Rule = Act & {
  /** Fits prompts that hold this text. */
  promptHas?: string
  /** Fits this share of calls, drawn from the seed: 0 to 1. */
  share?: number
  /** Fits so many calls; without it, any number. */
  times?: number
}

export type ScriptedCall = { attemptId: string; prompt: string; model: string; maxTokens: number }

export type ScriptedProvider = {
  /** For example http://127.0.0.1:41234/v1 */
  baseUrl: string
  /** Calls received so far, oldest first; at most `callsKeptMax` are kept. */
  calls(): readonly ScriptedCall[]
  /** How many calls were received. */
  callCount(): number
  /** Replaces the script. */
  play(rules: readonly Rule[]): void
  /** Hangs up on everybody and stops. */
  close(): Promise<void>
}

const callsKeptMax = 100_000
const bodyBytesMax = 4 * 1_048_576

export async function startScriptedProvider(
  options: { port?: number; script?: readonly Rule[]; seed?: number } = {},
): Promise<ScriptedProvider> {
  let rules = (options.script ?? []).map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }))
  const calls: ScriptedCall[] = []
  let received = 0
  const sockets = new Set<Socket>()
  const share = sequence(options.seed ?? 1)

  function actFor(prompt: string): Act {
    const fits = rules.find(
      ({ rule, left }) =>
        left > 0 &&
        (rule.promptHas === undefined || prompt.includes(rule.promptHas)) &&
        (rule.share === undefined || share() < rule.share),
    )
    if (!fits) return {}
    fits.left -= 1
    return fits.rule
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions' || !body)
      return error(response, 404, 'There is nothing here.')
    const prompt = (body.messages ?? []).map((message) => message.content ?? '').join('\n')
    received += 1
    if (calls.length < callsKeptMax) {
      calls.push({
        attemptId: String(request.headers['idempotency-key'] ?? ''),
        prompt,
        model: body.model ?? '',
        maxTokens: body.max_completion_tokens ?? 0,
      })
    }
    const act = actFor(prompt)
    if (act.latencyMs) await new Promise((resolve) => setTimeout(resolve, act.latencyMs))
    perform(act, prompt, body.model ?? '', response)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((problem: unknown) => error(response, 500, String(problem)))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    calls: () => calls,
    callCount: () => received,
    play(script) {
      rules = script.map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }))
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function perform(act: Act, prompt: string, model: string, response: ServerResponse): void {
  if (act.breaks === 'hang') return
  if (act.breaks === 'reset') return void response.destroy()
  if (act.status !== undefined) return error(response, act.status, `The script says ${act.status}.`, act.retryAfter)
  const body =
    act.breaks === 'malformed'
      ? '{"choices": ['
      : JSON.stringify(act.breaks === 'empty' ? { choices: [] } : answer(act, prompt, model))
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  if (act.breaks !== 'cut') return void response.end(body)
  response.write(body.slice(0, body.length / 2), () => response.destroy())
}

function answer(act: Act, prompt: string, model: string): object {
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

const toApiUsage = ({
  prompt,
  completion,
  cached = 0,
  reasoning = 0,
}: {
  prompt: number
  completion: number
  cached?: number
  reasoning?: number
}) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: reasoning },
})

function error(response: ServerResponse, status: number, message: string, retryAfter?: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  })
  response.end(JSON.stringify({ error: { message, type: 'scripted' } }))
}

type ChatRequest = { model?: string; messages?: { content?: string }[]; max_completion_tokens?: number }

async function readBody(request: IncomingMessage): Promise<ChatRequest | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return undefined
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as ChatRequest
  } catch {
    return undefined
  }
}

/** A linear congruential sequence (Numerical Recipes), so that a script draws the same shares every time. */
function sequence(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
