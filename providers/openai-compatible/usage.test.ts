import { describe, expect, test } from 'vitest'
import { usageOf } from './usage.ts'

const bound = { inputTokensMax: 100n, outputTokensMax: 50n }
const report = { prompt_tokens: 10, completion_tokens: 5 }

test('cached tokens are taken out of the input, reasoning stays in the output', () => {
  const usage = usageOf(
    {
      ...report,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 3 },
    },
    bound,
  )
  expect(usage).toEqual({
    inputUncachedTokens: 6n,
    inputCacheReadTokens: 4n,
    inputCacheWriteTokens: 0n,
    outputTokens: 5n,
    reasoningTokens: 3n,
    source: 'provider',
    raw: '{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3}}',
  })
})

test.each([
  ['no details', report],
  ['null details', { ...report, prompt_tokens_details: null, completion_tokens_details: null }],
  ['details of null', { ...report, prompt_tokens_details: { cached_tokens: null } }],
])('with %s nothing was cached and nothing reasoned', (_, given) => {
  expect(usageOf(given, bound)).toMatchObject({
    inputUncachedTokens: 10n,
    inputCacheReadTokens: 0n,
    reasoningTokens: 0n,
  })
})

test.each<[string, unknown]>([
  ['absent', undefined],
  ['null', null],
  ['no object', 'many'],
  ['empty', {}],
  ['half there', { prompt_tokens: 10 }],
  ['negative', { ...report, completion_tokens: -1 }],
  ['a fraction', { ...report, prompt_tokens: 1.5 }],
  ['text', { ...report, prompt_tokens: '10' }],
  ['more than can be counted', { ...report, prompt_tokens: 2 ** 60 }],
  ['more cached than there was', { ...report, prompt_tokens_details: { cached_tokens: 11 } }],
  ['more reasoning than output', { ...report, completion_tokens_details: { reasoning_tokens: 6 } }],
])('a report that is %s is the bound, marked as estimated', (_, given) => {
  expect(usageOf(given, bound)).toMatchObject({
    inputUncachedTokens: 100n,
    inputCacheReadTokens: 0n,
    outputTokens: 50n,
    reasoningTokens: 0n,
    source: 'estimated',
  })
})

describe('of the raw report', () => {
  const rawOf = (given: unknown) => usageOf(given, bound).raw

  test('only figures are kept, to a depth of two', () => {
    const given = {
      ...report,
      model: 'secret',
      'a name with spaces': 1,
      list: [1],
      one: { two: { three: 3 }, four: 4 },
    }
    expect(rawOf(given)).toBe('{"prompt_tokens":10,"completion_tokens":5,"one":{"four":4}}')
  })

  test('nothing is kept where there are no figures, or far too many', () => {
    expect(rawOf(undefined)).toBeUndefined()
    expect(rawOf({ model: 'x' })).toBeUndefined()
    expect(rawOf(Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`n${index}`, index])))).toBeUndefined()
  })
})
