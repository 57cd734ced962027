import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Call } from '../../capabilities/index.ts'
import type { Rule } from '../scripted/script.ts'
import { startScriptedProvider } from '../scripted/scripted-provider.ts'
import { type OpenAiCompatibleOptions, openAiCompatibleProvider } from './openai-compatible-provider.ts'

const scripted = await startScriptedProvider()
afterAll(() => scripted.close())
const provider = openAiCompatibleProvider({
  name: 'scripted',
  baseUrl: scripted.baseUrl,
  apiKey: 'test',
  models: ['scripted-1', 'scripted-2'],
})
const never = new AbortController().signal
beforeEach(() => scripted.play([]))

const call = (more: Partial<Call> = {}): Call => ({
  tenantId: 't',
  jobId: 'j',
  attemptId: 'att_1',
  capability: 'generate.text',
  model: 'scripted-1',
  input: { prompt: 'hello there' },
  params: {},
  outputTokensMax: 50n,
  ...more,
})
const answerTo = (rule: Rule) => {
  scripted.play([rule])
  return provider.call(call(), never)
}

describe('an OpenAI-compatible provider', () => {
  test('answers, with the attempt as idempotency key and the bound as limit', async () => {
    const before = scripted.callCount()
    expect(await provider.call(call({ attemptId: 'att_7' }), never)).toMatchObject({
      ok: true,
      result: { text: 'HELLO THERE' },
      usage: {
        inputUncachedTokens: 3n,
        inputCacheReadTokens: 0n,
        outputTokens: 3n,
        reasoningTokens: 0n,
        source: 'provider',
      },
    })
    expect(scripted.calls().slice(before)).toEqual([
      { attemptId: 'att_7', prompt: 'hello there', model: 'scripted-1', maxTokens: 50 },
    ])
  })

  test.each<[string, Rule, object]>([
    ['a server error', { status: 500 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['an overloaded server', { status: 503, retryAfter: '2' }, { code: 'PROVIDER_UNAVAILABLE', retryAfterMs: 2_000 }],
    ['a rate limit', { status: 429, retryAfter: '3' }, { code: 'PROVIDER_RATE_LIMITED', retryAfterMs: 3_000 }],
    ['a rate limit without a time', { status: 429 }, { code: 'PROVIDER_RATE_LIMITED' }],
    ['a rate limit with nonsense', { status: 429, retryAfter: 'soon' }, { code: 'PROVIDER_RATE_LIMITED' }],
    ['input it refuses', { status: 400 }, { code: 'PROVIDER_REJECTED' }],
    ['input it cannot work with', { status: 422 }, { code: 'PROVIDER_REJECTED' }],
    ['input that is too large', { status: 413 }, { code: 'PROVIDER_REJECTED' }],
    ['a key it refuses', { status: 401 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['a model it does not have', { status: 404 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['a timeout of its own', { status: 408 }, { code: 'PROVIDER_TIMEOUT' }],
    ['a gateway timeout', { status: 504 }, { code: 'PROVIDER_TIMEOUT' }],
    ['an answer that is not JSON', { breaks: 'malformed' }, { code: 'PROVIDER_MALFORMED' }],
    ['a line cut before the headers', { breaks: 'reset' }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['a line cut in the body', { breaks: 'cut' }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['an answer without end', { text: 'x'.repeat(9 * 1_048_576) }, { code: 'PROVIDER_MALFORMED' }],
  ])('reports %s', async (_, rule, expected) => {
    expect(await answerTo(rule)).toEqual({ ok: false, ...expected })
  })

  const estimated = { usage: { inputUncachedTokens: 27n, outputTokens: 50n, source: 'estimated' } }
  test.each<[string, Rule, object]>([
    ['without a choice', { breaks: 'empty' }, estimated],
    ['of null', { body: 'null' }, estimated],
    ['of text', { body: 'sorry', headers: { 'content-type': 'text/plain' } }, estimated],
    ['of a list', { body: '[]' }, estimated],
    ['without content', { body: '{"choices":[{"message":{"content":null}}]}' }, estimated],
    [
      'without a choice but with usage',
      { body: '{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}' },
      { usage: { inputUncachedTokens: 5n, outputTokens: 7n, source: 'provider' } },
    ],
  ])('an answer %s is malformed, and may have cost something all the same', async (_, rule, expected) => {
    expect(await answerTo(rule)).toMatchObject({ ok: false, code: 'PROVIDER_MALFORMED', ...expected })
  })

  test('a model that declines has rejected the input', async () => {
    const body =
      '{"choices":[{"message":{"content":null,"refusal":"I will not."}}],"usage":{"prompt_tokens":5,"completion_tokens":4}}'
    expect(await answerTo({ body })).toMatchObject({
      ok: false,
      code: 'PROVIDER_REJECTED',
      usage: { outputTokens: 4n, source: 'provider' },
    })
  })

  test('a redirect is not followed', async () => {
    const elsewhere = await startScriptedProvider()
    const location = `${elsewhere.baseUrl}/chat/completions`
    for (const status of [301, 302, 307, 308]) {
      expect(await answerTo({ status, headers: { location } })).toEqual({ ok: false, code: 'PROVIDER_UNAVAILABLE' })
    }
    expect(elsewhere.callCount()).toBe(0)
    await elsewhere.close()
  })

  test('a provider that takes longer than its timeout has timed out, be it silent or slow', async () => {
    const { baseUrl } = scripted
    const hasty = openAiCompatibleProvider({ name: 'hasty', baseUrl, apiKey: 'test', models: ['m'], timeoutMs: 50 })
    scripted.play([{ times: 1, breaks: 'hang' }, { latencyMs: 10_000 }])
    expect(await hasty.call(call(), never)).toEqual({ ok: false, code: 'PROVIDER_TIMEOUT' })
    expect(await hasty.call(call(), never)).toEqual({ ok: false, code: 'PROVIDER_TIMEOUT' })
  })

  test('makes one request per call, also when it fails', async () => {
    const before = scripted.callCount()
    await answerTo({ status: 500 })
    await answerTo({ status: 429 })
    expect(scripted.callCount() - before).toBe(2)
  })

  test.each([
    ['milliseconds', { 'retry-after-ms': '1500', 'retry-after': '9' }, 1_500],
    ['part of a second', { 'retry-after': '0.25' }, 250],
    ['longer than is believed', { 'retry-after': '999999' }, 3_600_000],
    ['a date gone by', { 'retry-after': 'Fri, 01 Jan 2021 00:00:00 GMT' }, 0],
  ])('takes a wait in %s', async (_, headers, retryAfterMs) => {
    expect(await answerTo({ status: 429, headers })).toEqual({ ok: false, code: 'PROVIDER_RATE_LIMITED', retryAfterMs })
  })

  test('takes a date in Retry-After', async () => {
    const answer = await answerTo({ status: 429, retryAfter: new Date(Date.now() + 90_000).toUTCString() })
    expect(!answer.ok && answer.retryAfterMs).toBeGreaterThanOrEqual(85_000)
    expect(!answer.ok && answer.retryAfterMs).toBeLessThanOrEqual(91_000)
  })

  test('keeps cached and reasoning tokens apart, and the raw figures', async () => {
    const answer = await answerTo({ usage: { prompt: 100, completion: 40, cached: 60, reasoning: 25 } })
    expect(answer).toMatchObject({
      usage: {
        inputUncachedTokens: 40n,
        inputCacheReadTokens: 60n,
        outputTokens: 40n,
        reasoningTokens: 25n,
        source: 'provider',
      },
    })
    expect(answer.ok && JSON.parse(answer.usage.raw ?? '')).toMatchObject({ prompt_tokens: 100, completion_tokens: 40 })
  })

  test('usage above what was allowed is reported as it is', async () => {
    expect(await answerTo({ usage: { prompt: 9_000, completion: 700 } })).toMatchObject({
      ok: true,
      usage: { inputUncachedTokens: 9_000n, outputTokens: 700n, source: 'provider' },
    })
  })

  test('usage of 0 is 0; usage that is absent is the bound, marked as estimated', async () => {
    expect(await answerTo({ usage: { prompt: 0, completion: 0 } })).toMatchObject({
      usage: { inputUncachedTokens: 0n, outputTokens: 0n, source: 'provider' },
    })
    expect(await answerTo({ usage: null })).toMatchObject({ ok: true, ...estimated })
  })

  test('a call that is aborted ends, whether it waits or was never made', async () => {
    scripted.play([{ breaks: 'hang' }])
    const controller = new AbortController()
    const pending = provider.call(call(), controller.signal)
    setTimeout(() => controller.abort(), 30)
    expect(await pending).toEqual({ ok: false, code: 'CANCELLED' })
    const before = scripted.callCount()
    expect(await provider.call(call(), controller.signal)).toEqual({ ok: false, code: 'CANCELLED' })
    expect(scripted.callCount()).toBe(before)
  })

  test('half a character in an answer becomes a whole one, so that it can be kept', async () => {
    const body = '{"choices":[{"message":{"content":"a\\ud83d"}}]}'
    expect(await answerTo({ body })).toMatchObject({ ok: true, result: { text: 'a\ufffd' } })
  })

  test('closing hangs up on calls under way, and later ones are not made', async () => {
    const { baseUrl } = scripted
    const short = openAiCompatibleProvider({ name: 'short', baseUrl, apiKey: 'test', models: ['m'] })
    scripted.play([{ breaks: 'hang' }])
    const pending = short.call(call(), never)
    await vi.waitUntil(() => scripted.calls().at(-1)?.model === 'scripted-1')
    await short.close()
    expect(await pending).toEqual({ ok: false, code: 'PROVIDER_UNAVAILABLE' })
    const before = scripted.callCount()
    expect(await short.call(call(), never)).toEqual({ ok: false, code: 'PROVIDER_UNAVAILABLE' })
    expect(scripted.callCount()).toBe(before)
  })

  test('what it cannot serve it does not send', async () => {
    const before = scripted.callCount()
    expect(await provider.call(call({ capability: 'classify.sentiment' }), never)).toMatchObject({
      code: 'PROVIDER_REJECTED',
    })
    expect(await provider.call(call({ input: { text: 'x' } }), never)).toMatchObject({ code: 'INPUT_UNREADABLE' })
    expect(scripted.callCount()).toBe(before)
  })

  test('serves the models it has', () => {
    expect(provider.modelFor('generate.text', undefined)).toBe('scripted-1')
    expect(provider.modelFor('generate.text', 'scripted-2')).toBe('scripted-2')
    expect(provider.modelFor('generate.text', 'other')).toBeUndefined()
    expect(provider.modelFor('classify.category', undefined)).toBeUndefined()
  })

  test.each<[string, Partial<OpenAiCompatibleOptions>, RegExp]>([
    ['plain http outside loopback', { baseUrl: 'http://api.example.com/v1' }, /https/],
    ['a name that only begins like loopback', { baseUrl: 'http://127.0.0.1.example.com/v1' }, /https/],
    ['another protocol', { baseUrl: 'ftp://127.0.0.1/v1' }, /https/],
    ['a password in the address', { baseUrl: 'https://user:secret@api.example.com/v1' }, /password/],
    ['no address', { baseUrl: 'api' }, /URL/],
    ['no key', { apiKey: '' }, /key/],
    ['no model', { models: [] }, /model/],
    ['no time', { timeoutMs: 0 }, /timeout/],
    ['more time than it can give', { timeoutMs: 300_001 }, /timeout/],
  ])('refuses %s', (_, more, message) => {
    const options = { name: 'x', baseUrl: 'https://api.example.com/v1', apiKey: 'k', models: ['m'] }
    expect(() => openAiCompatibleProvider(options)).not.toThrow()
    expect(() => openAiCompatibleProvider({ ...options, ...more })).toThrow(message)
  })

  test('a server that is not there is unavailable', async () => {
    const gone = await startScriptedProvider()
    await gone.close()
    const provider = openAiCompatibleProvider({ name: 'gone', baseUrl: gone.baseUrl, apiKey: 'test', models: ['m'] })
    expect(await provider.call(call(), never)).toMatchObject({ ok: false, code: 'PROVIDER_UNAVAILABLE' })
  })
})

test('no header leaves the house that nobody asked for, whatever the environment says', async () => {
  const received: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    received.push(request.headers)
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  vi.stubEnv('OPENAI_ORG_ID', 'org-of-the-machine')
  vi.stubEnv('OPENAI_ADMIN_KEY', 'key-of-the-machine')
  vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'X-Secret: of the machine\nAuthorization: Bearer of-the-machine')
  const { port } = server.address() as AddressInfo
  const baseUrl = `http://127.0.0.1:${port}/v1`
  await openAiCompatibleProvider({ name: 'x', baseUrl, apiKey: 'ours', models: ['m'] }).call(call(), never)
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  expect(received[0]).toMatchObject({ authorization: 'Bearer ours', 'idempotency-key': 'att_1' })
  expect(JSON.stringify(received)).not.toMatch(/machine|stainless|OpenAI/i)
})
