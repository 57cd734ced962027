import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { Call } from '../../capabilities/index.ts'
import { type Rule, startScriptedProvider } from '../scripted/scripted-provider.ts'
import { openAiCompatibleProvider } from './openai-compatible-provider.ts'

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

  test.each([
    ['a server error', { status: 500 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['an overloaded server', { status: 503, retryAfter: '2' }, { code: 'PROVIDER_UNAVAILABLE', retryAfterMs: 2_000 }],
    [
      'a rate limit in seconds',
      { status: 429, retryAfter: '3' },
      { code: 'PROVIDER_RATE_LIMITED', retryAfterMs: 3_000 },
    ],
    ['a rate limit without a time', { status: 429 }, { code: 'PROVIDER_RATE_LIMITED', retryAfterMs: 0 }],
    [
      'a rate limit with nonsense',
      { status: 429, retryAfter: 'soon' },
      { code: 'PROVIDER_RATE_LIMITED', retryAfterMs: 0 },
    ],
    ['input it refuses', { status: 400 }, { code: 'PROVIDER_REJECTED' }],
    ['a key it refuses', { status: 401 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['a gateway timeout', { status: 504 }, { code: 'PROVIDER_TIMEOUT' }],
    ['a redirect, which is not followed', { status: 302 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['an answer that is not JSON', { breaks: 'malformed' }, { code: 'PROVIDER_MALFORMED' }],
    ['an answer without a choice', { breaks: 'empty' }, { code: 'PROVIDER_MALFORMED' }],
    ['a line cut before the headers', { breaks: 'reset' }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['a line cut in the body', { breaks: 'cut' }, { code: 'PROVIDER_UNAVAILABLE' }],
  ] as const)('reports %s', async (_, rule, expected) => {
    expect(await answerTo(rule)).toMatchObject({ ok: false, ...expected })
  })

  test('makes one request per call, also when it fails', async () => {
    const before = scripted.callCount()
    await answerTo({ status: 500 })
    await answerTo({ status: 429 })
    expect(scripted.callCount() - before).toBe(2)
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

  test('usage of 0 is 0; usage that is absent is the bound, marked as estimated', async () => {
    expect(await answerTo({ usage: { prompt: 0, completion: 0 } })).toMatchObject({
      usage: { inputUncachedTokens: 0n, outputTokens: 0n, source: 'provider' },
    })
    expect(await answerTo({ usage: null })).toMatchObject({
      usage: { inputUncachedTokens: 27n, outputTokens: 50n, source: 'estimated' },
    })
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

  test('serves the models it has, and plain http only on loopback', () => {
    expect(provider.modelFor('generate.text', undefined)).toBe('scripted-1')
    expect(provider.modelFor('generate.text', 'scripted-2')).toBe('scripted-2')
    expect(provider.modelFor('generate.text', 'other')).toBeUndefined()
    expect(provider.modelFor('classify.category', undefined)).toBeUndefined()
    expect(() =>
      openAiCompatibleProvider({ name: 'x', baseUrl: 'http://api.example.com/v1', apiKey: 'k', models: ['m'] }),
    ).toThrow(/https/)
  })

  test('a server that is not there is unavailable', async () => {
    const gone = await startScriptedProvider()
    await gone.close()
    const provider = openAiCompatibleProvider({ name: 'gone', baseUrl: gone.baseUrl, apiKey: 'test', models: ['m'] })
    expect(await provider.call(call(), never)).toMatchObject({ ok: false, code: 'PROVIDER_UNAVAILABLE' })
  })
})

test('a script is played in order, each rule as often as it says', async () => {
  scripted.play([
    { promptHas: 'other', status: 500 },
    { times: 1, status: 429 },
    { times: 1, text: 'second' },
    { text: 'rest' },
  ])
  const answers = [
    await provider.call(call(), never),
    await provider.call(call(), never),
    await provider.call(call(), never),
  ]
  expect(answers).toMatchObject([
    { code: 'PROVIDER_RATE_LIMITED' },
    { result: { text: 'second' } },
    { result: { text: 'rest' } },
  ])
})
