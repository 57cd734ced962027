import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type Call, capabilityNamed, labelSetContent, labelSetHash } from '../../capabilities/index.ts'
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
/** Takes long enough to fit for other things to happen meanwhile. */
const slowContent = labelSetContent({
  labels: ['even', 'odd'],
  examples: Array.from({ length: 1_500 }, (_, index) => ({
    text: Array.from({ length: 200 }, (_, word) => `w${(index * 7 + word * 13) % 5_000}`).join(' '),
    label: index % 2 === 0 ? 'even' : 'odd',
  })),
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
const slowCall = () => call({ resource: { hash: labelSetHash(slowContent), content: slowContent } })
const sentimentCall = (text: string) => call({ capability: 'classify.sentiment', input: { text } })

describe('the local provider', () => {
  test('knows which model serves what', () => {
    expect(provider.modelFor('classify.category', undefined)).toBe('linear-1')
    expect(provider.modelFor('classify.sentiment', 'vader-1')).toBe('vader-1')
    expect(provider.modelFor('classify.sentiment', 'gpt-4o')).toBeUndefined()
    expect(provider.modelFor('generate.text', undefined)).toBeUndefined()
    expect(provider.modelFor('toString', undefined)).toBeUndefined()
  })

  test('classifies by the label set it is given, many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => provider.call(call(), never)))
    for (const answer of answers) {
      expect(answer).toMatchObject({
        ok: true,
        result: { label: 'delivery' },
        usage: { inputUncachedTokens: 2n, outputTokens: 1n, source: 'counted' },
      })
      expect(capabilityNamed('classify.category')?.resultSchema.safeParse(answer.ok && answer.result).success).toBe(
        true,
      )
    }
  })

  test.each([
    ['I love this, it is wonderful!', 'positive'],
    ['This is horrible and I hate it.', 'negative'],
    ['The parcel has a label.', 'neutral'],
  ])('hears the sentiment of %s', async (text, sentiment) => {
    const answer = await provider.call(sentimentCall(text), never)
    expect(answer).toMatchObject({ ok: true, result: { sentiment } })
    expect(capabilityNamed('classify.sentiment')?.resultSchema.safeParse(answer.ok && answer.result).success).toBe(true)
  })

  test('a long text of one endless word, or of many, is answered all the same', async () => {
    for (const text of ['a'.repeat(300_000), `${'A'.repeat(299_999)}b`, '!'.repeat(300_000), 'good '.repeat(60_000)]) {
      expect(await provider.call(sentimentCall(text), never)).toMatchObject({ ok: true })
      expect(await provider.call(call({ input: { text } }), never)).toMatchObject({ ok: true })
    }
  })

  test('no text has more tokens counted than the capability bounds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1 }), async (text) => {
        if (text.includes('\0')) return
        for (const capability of ['classify.category', 'classify.sentiment']) {
          const bounds = capabilityNamed(capability)?.bounds({ input: { text }, params: { labelSetId: 'x' } })
          const { usage } = await provider.call(call({ capability, input: { text } }), never)
          expect(usage?.inputUncachedTokens).toBeLessThanOrEqual(bounds?.inputTokensMax ?? -1n)
          expect(usage?.outputTokens).toBeLessThanOrEqual(bounds?.outputTokensMax ?? -1n)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('without a label set, with an input that does not fit, or for a capability it lacks, it refuses', async () => {
    const { resource: _, ...without } = call()
    expect(await provider.call(without, never)).toEqual({ ok: false, code: 'INPUT_UNREADABLE' })
    expect(await provider.call(call({ input: { prompt: 'x' } }), never)).toEqual({
      ok: false,
      code: 'INPUT_UNREADABLE',
    })
    expect(await provider.call(call({ capability: 'generate.text' }), never)).toEqual({
      ok: false,
      code: 'PROVIDER_REJECTED',
    })
  })
})

describe('with a single thread, which a fit occupies', () => {
  test('calls that wait for it are cancelled at once; the fit goes on and serves those who stayed', async () => {
    const one = localProvider({ threads: 1, cacheBytesMax: 2 ** 26 })
    const controller = new AbortController()
    let isFitted = false
    const stayed = one.call(slowCall(), never).then((answer) => {
      isFitted = true
      return answer
    })
    const left = [one.call(slowCall(), controller.signal), one.call(sentimentCall('good'), controller.signal)]
    controller.abort()
    expect(await Promise.all(left)).toEqual([
      { ok: false, code: 'CANCELLED' },
      { ok: false, code: 'CANCELLED' },
    ])
    expect(isFitted).toBe(false)
    expect(await one.call(call(), controller.signal)).toEqual({ ok: false, code: 'CANCELLED' })
    expect(await stayed).toMatchObject({ ok: true })
    await one.close()
  })

  test('closing ends it in the middle of a fit, and every later call is unavailable', async () => {
    const one = localProvider({ threads: 1, cacheBytesMax: 2 ** 26 })
    const pending = [one.call(slowCall(), never), one.call(sentimentCall('good'), never)]
    await new Promise((resolve) => setTimeout(resolve, 50))
    await one.close()
    await one.close()
    const unavailable = { ok: false, code: 'PROVIDER_UNAVAILABLE' }
    expect(await Promise.all(pending)).toEqual([unavailable, unavailable])
    expect(await one.call(call(), never)).toEqual(unavailable)
  })
})

test('with two threads a short call does not wait for a fit', async () => {
  const two = localProvider({ threads: 2, cacheBytesMax: 2 ** 26 })
  await two.call(sentimentCall('warm'), never)
  const ended: string[] = []
  const slow = two.call(slowCall(), never).then(() => ended.push('fit'))
  await two.call(sentimentCall('good'), never).then(() => ended.push('sentiment'))
  await slow
  expect(ended).toEqual(['sentiment', 'fit'])
  await two.close()
})

test('a plain process that has used the provider and closed it ends by itself', async () => {
  const program = `
    const { localProvider } = await import(${JSON.stringify(new URL('./local-provider.ts', import.meta.url).href)})
    const provider = localProvider({ threads: 2, cacheBytesMax: 1 })
    const call = { capability: 'classify.sentiment', input: { text: 'wonderful' }, params: {}, outputTokensMax: 1n }
    console.error((await provider.call(call, new AbortController().signal)).result.sentiment)
    await provider.close()`
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 30_000,
  })
  expect(stderr).toContain('positive')
})
