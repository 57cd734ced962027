import { afterAll, describe, expect, test } from 'vitest'
import type { Call } from '../../capabilities/index.ts'
import { labelSetContent, labelSetHash } from '../../capabilities/index.ts'
import { localProvider } from './local-provider.ts'

const provider = localProvider({ threads: 2, cacheBytesMax: 2 ** 26 })
afterAll(() => provider.close())
const never = new AbortController().signal

const content = labelSetContent({
  labels: ['delivery', 'billing'],
  examples: [
    { text: 'where is my parcel', label: 'delivery' },
    { text: 'the invoice is wrong', label: 'billing' },
  ],
})
const call = (more: Partial<Call> = {}): Call => ({
  tenantId: 't',
  jobId: 'j',
  attemptId: 'a',
  capability: 'classify.category',
  model: 'linear-1',
  input: { text: 'my parcel' },
  params: {},
  outputTokensMax: 1n,
  resource: { hash: labelSetHash(content), content },
  ...more,
})

describe('the local provider', () => {
  test('knows which model serves what', () => {
    expect(provider.modelFor('classify.category', undefined)).toBe('linear-1')
    expect(provider.modelFor('classify.sentiment', 'vader-1')).toBe('vader-1')
    expect(provider.modelFor('classify.sentiment', 'gpt-4o')).toBeUndefined()
    expect(provider.modelFor('generate.text', undefined)).toBeUndefined()
  })

  test('classifies by the label set it is given, many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => provider.call(call(), never)))
    for (const answer of answers) {
      expect(answer).toMatchObject({
        ok: true,
        result: { label: 'delivery' },
        usage: { inputUncachedTokens: 2n, outputTokens: 1n, source: 'counted' },
      })
      expect(answer.ok && Object.keys(answer.result as object).sort()).toEqual(['confidence', 'label', 'scores'])
    }
  })

  test.each([
    ['I love this, it is wonderful!', 'positive'],
    ['This is horrible and I hate it.', 'negative'],
    ['The parcel has a label.', 'neutral'],
  ])('hears the sentiment of %s', async (text, sentiment) => {
    const answer = await provider.call(call({ capability: 'classify.sentiment', input: { text } }), never)
    expect(answer).toMatchObject({ ok: true, result: { sentiment } })
  })

  test('a long text of one endless word, or of many, is answered all the same', async () => {
    for (const text of ['a'.repeat(300_000), '!'.repeat(300_000), 'good '.repeat(60_000)]) {
      expect(await provider.call(call({ capability: 'classify.sentiment', input: { text } }), never)).toMatchObject({
        ok: true,
      })
      expect(await provider.call(call({ input: { text } }), never)).toMatchObject({ ok: true })
    }
  })

  test('a call that is aborted ends at once, and the next one works', async () => {
    const controller = new AbortController()
    const pending = provider.call(call({ resource: { hash: 'other', content } }), controller.signal)
    controller.abort()
    expect(await pending).toEqual({ ok: false, code: 'CANCELLED' })
    expect(await provider.call(call(), controller.signal)).toEqual({ ok: false, code: 'CANCELLED' })
    expect(await provider.call(call(), never)).toMatchObject({ ok: true })
  })

  test('without its label set, or for a capability it does not have, it refuses', async () => {
    const { resource: _, ...without } = call()
    expect(await provider.call(without, never)).toEqual({ ok: false, code: 'PROVIDER_REJECTED' })
    expect(await provider.call(call({ capability: 'generate.text' }), never)).toEqual({
      ok: false,
      code: 'PROVIDER_REJECTED',
    })
  })
})
