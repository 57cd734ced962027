import { describe, expect, test } from 'vitest'
import { type LabelSet, labelSetBytesMax, labelSetContent, labelSetHash, labelSetSchema } from './label-set.ts'

const labels = ['delivery', 'billing']
const examples = [
  { text: 'where is my parcel', label: 'delivery' },
  { text: 'the invoice is wrong', label: 'billing' },
]
const complaints = (more: object) =>
  labelSetSchema
    .safeParse({ labels, examples, ...more })
    .error?.issues.map(({ path, message }) => [path.join('.'), message])

describe('a label set', () => {
  test('has labels, and an example of each', () => {
    expect(complaints({})).toBeUndefined()
  })

  test('may have a thousand labels, not one more', () => {
    const named = (count: number) => {
      const many = Array.from({ length: count }, (_, index) => `label ${index}`)
      return { labels: many, examples: many.map((label) => ({ text: label, label })) }
    }
    expect(complaints(named(1_000))).toBeUndefined()
    expect(complaints(named(1_001))?.[0]?.[0]).toBe('labels')
  })

  test.each<[string, object, string, RegExp]>([
    ['a single label', { labels: ['delivery'], examples: examples.slice(0, 1) }, 'labels', /2/],
    ['a label twice', { labels: [...labels, 'billing'] }, 'labels', /twice/],
    ['a label without example', { labels: [...labels, 'login'] }, 'examples', /"login"/],
    [
      'a stray example',
      { examples: [...examples, { text: 'x', label: 'login' }] },
      'examples.2.label',
      /one of the labels/,
    ],
    ['an empty label', { labels: [...labels, ''] }, 'labels.2', /empty/],
    ['a label of 101 characters', { labels: [...labels, 'x'.repeat(101)] }, 'labels.2', /100/],
    ['a label with a line break', { labels: [...labels, 'a\nb'] }, 'labels.2', /control/],
    ['a label with NUL', { labels: [...labels, 'a\0'] }, 'labels.2', /control/],
    ['half a character in a label', { labels: [...labels, '\ud83d'] }, 'labels.2', /surrogate/],
    ['a label with a meaning to JavaScript', { labels: [...labels, '__proto__'] }, 'labels.2', /reserved/],
    ['NUL in an example', { examples: [...examples, { text: '\0', label: 'billing' }] }, 'examples.2.text', /NUL/],
    ['an empty example', { examples: [...examples, { text: '', label: 'billing' }] }, 'examples.2.text', /empty/],
    ['a field nobody knows', { version: 2 }, '', /version/],
    [
      'an unknown field of an example',
      { examples: [{ ...examples[0], weight: 2 }, examples[1]] },
      'examples.0',
      /weight/,
    ],
  ])('is refused with %s', (_, more, path, message) => {
    const found = complaints(more)
    expect(found?.[0]?.[0]).toBe(path)
    expect(found?.[0]?.[1]).toMatch(message)
  })

  test('is refused when it is too large altogether', () => {
    const text = 'x'.repeat(1_048_576)
    const many = Array.from({ length: 64 }, () => ({ text, label: 'billing' }))
    expect(complaints({ examples: [...many, ...examples] })).toEqual([
      ['examples', `must have at most ${labelSetBytesMax} bytes together`],
    ])
  })
})

describe('its content', () => {
  const hash = (labelSet: LabelSet) => labelSetHash(labelSetContent(labelSet))

  test('is canonical JSON: keys sorted, no spaces', () => {
    expect(
      new TextDecoder().decode(labelSetContent({ labels: ['b', 'a'], examples: [{ text: 'é', label: 'a' }] })),
    ).toBe('{"examples":[{"label":"a","text":"é"}],"labels":["b","a"]}')
  })

  test('has the same hash however its keys were ordered, and another for anything else', () => {
    const turned = { examples: examples.map(({ text, label }) => ({ label, text })), labels }
    expect(hash({ labels, examples })).toBe(hash(turned))
    expect(hash({ labels, examples })).toMatch(/^[0-9a-f]{64}$/)
    expect(hash({ labels, examples: examples.toReversed() })).not.toBe(hash({ labels, examples }))
    expect(hash({ labels: labels.toReversed(), examples })).not.toBe(hash({ labels, examples }))
  })
})
