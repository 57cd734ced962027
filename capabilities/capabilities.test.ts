import { describe, expect, test } from 'vitest'
import { capabilities, capabilityNamed } from './index.ts'

const valid = {
  'classify.category': { input: { text: 'späť' }, params: { labelSetId: 'mails' } },
  'classify.sentiment': { input: { text: 'späť' }, params: {} },
  'generate.text': { input: { prompt: 'späť' }, params: {} },
} as const

const named = (name: string) => {
  const capability = capabilityNamed(name)
  if (!capability) throw new Error(`There is no ${name}.`)
  return capability
}

test('there are three, each found by its name', () => {
  expect(capabilities.map(({ name }) => name)).toEqual(Object.keys(valid))
  for (const { name, means } of capabilities) {
    expect(named(name).name).toBe(name)
    expect(means).toMatch(/^[A-Z].*\.$/)
  }
  expect(capabilityNamed('toString')).toBeUndefined()
})

describe.each(Object.entries(valid))('%s', (name, { input, params }) => {
  const { inputSchema, paramsSchema, bounds } = named(name)

  test('takes what it is for, and bounds it: 6 bytes and 16', () => {
    expect(inputSchema.safeParse(input).success).toBe(true)
    expect(bounds({ input, params }).inputTokensMax).toBe(22n)
  })

  test('refuses fields it does not know, and what is no object', () => {
    expect(inputSchema.safeParse({ ...input, model: 'x' }).success).toBe(false)
    expect(paramsSchema.safeParse({ ...params, temperature: 1 }).success).toBe(false)
    for (const other of [null, 'text', [], 1, {}]) expect(inputSchema.safeParse(other).success).toBe(false)
  })
})

test('what a classification says counts as one token', () => {
  for (const name of ['classify.category', 'classify.sentiment'] as const) {
    expect(named(name).bounds(valid[name]).outputTokensMax).toBe(1n)
  }
})

test('only classify.category works with a resource: its label set', () => {
  const resources = Object.entries(valid).map(([name, { params }]) => named(name).resourceOf(params))
  expect(resources).toEqual(['mails', undefined, undefined])
})

test.each([
  [{}, 1_024n],
  [{ maxOutputTokens: 1 }, 1n],
  [{ maxOutputTokens: 32_768 }, 32_768n],
])('generate.text with %j writes at most that much', (params, expected) => {
  expect(named('generate.text').bounds({ input: { prompt: 'x' }, params }).outputTokensMax).toBe(expected)
})

test.each([0, -1, 1.5, 32_769, '10', null, Number.NaN])('generate.text refuses %j as a maximum', (maxOutputTokens) => {
  expect(named('generate.text').paramsSchema.safeParse({ maxOutputTokens }).success).toBe(false)
})

test.each(['', 'Mails', '-x', 'a b', '../x', 'x'.repeat(65), 'ä'])('%j is no id of a label set', (labelSetId) => {
  expect(named('classify.category').paramsSchema.safeParse({ labelSetId }).success).toBe(false)
})

test('results that do not add up to the contract are refused', () => {
  const { resultSchema } = named('classify.category')
  const scores = { a: 0.75, b: 0.25 }
  expect(resultSchema.safeParse({ label: 'a', confidence: 0.75, scores }).success).toBe(true)
  expect(resultSchema.safeParse({ label: 'a', confidence: 1.5, scores }).success).toBe(false)
  expect(resultSchema.safeParse({ label: 'a', confidence: Number.NaN, scores }).success).toBe(false)
  expect(resultSchema.safeParse({ label: 'a', confidence: 0.75 }).success).toBe(false)
})
