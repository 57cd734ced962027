/** Requests that wait in memory against the log that they stand in. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Appended, appended } from './appended.ts'
import type { IntakeRecord, StoredRequest } from './log.ts'

const record = (offset: number): IntakeRecord => ({
  key: `tenant-${offset % 3}`,
  value: new Uint8Array(10).fill(offset),
})
const stored = (offset: number): StoredRequest => ({ ...record(offset), offset: BigInt(offset) })
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at)

function note(to: Appended, from: number, end: number): void {
  to.note(0, BigInt(from), range(from, end).map(record))
}

test('given a reader that is there, then what is appended is handed over in order, as often as it is asked for', () => {
  const requests = appended(1_000)
  expect(requests.take(0, 4n, 10)).toEqual([])
  note(requests, 4, 7)
  note(requests, 7, 9)
  expect(requests.take(0, 4n, 2)).toEqual([4, 5].map(stored))
  expect(requests.take(0, 4n, 10)).toEqual(range(4, 9).map(stored))
  expect(requests.take(0, 6n, 10)).toEqual(range(6, 9).map(stored))
  expect(requests.take(0, 4n, 10), 'what was before is forgotten').toEqual([])
  expect(requests.take(0, 9n, 10)).toEqual([])
  expect(requests.take(1, 4n, 10), 'of another partition').toEqual([])
})

test('given no reader of the partition, then nothing is kept', () => {
  const requests = appended(1_000)
  note(requests, 0, 5)
  expect(requests.take(0, 0n, 10)).toEqual([])
})

test('given what others appended in between, then only what follows it is handed over', () => {
  const requests = appended(1_000)
  requests.take(0, 0n, 10)
  note(requests, 0, 3)
  note(requests, 5, 7)
  expect(requests.take(0, 0n, 10)).toEqual([])
  expect(requests.take(0, 3n, 10)).toEqual([])
  expect(requests.take(0, 5n, 10)).toEqual([5, 6].map(stored))
})

test('given more bytes than it may keep, then the oldest go, be it all of them', () => {
  const requests = appended(45)
  requests.take(0, 0n, 10)
  note(requests, 0, 6)
  expect(requests.take(0, 0n, 10)).toEqual([])
  expect(requests.take(0, 2n, 10)).toEqual(range(2, 6).map(stored))
  requests.note(0, 6n, [{ key: 'large', value: new Uint8Array(46) }])
  expect(requests.take(0, 2n, 10)).toEqual([])
  note(requests, 7, 9)
  expect(requests.take(0, 7n, 10)).toEqual([7, 8].map(stored))
})

test('whoever appends and however it is read, what is handed over is what stands there, without a gap', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('own' as const), count: fc.integer({ min: 0, max: 6 }) }),
    fc.record({ kind: fc.constant('others' as const), count: fc.integer({ min: 0, max: 3 }) }),
    fc.record({
      kind: fc.constant('read' as const),
      back: fc.integer({ min: 0, max: 12 }),
      max: fc.integer({ min: 1, max: 8 }),
    }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 5, max: 120 }), (steps, bytesMax) => {
      const requests = appended(bytesMax)
      let end = 0
      for (const one of steps) {
        if (one.kind === 'read') {
          const from = Math.max(0, end - one.back)
          const found = requests.take(0, BigInt(from), one.max)
          expect(found).toEqual(range(from, from + found.length).map(stored))
          expect(found.length).toBeLessThanOrEqual(Math.min(one.max, Math.floor(bytesMax / 10)))
          expect(from + found.length).toBeLessThanOrEqual(end)
        } else {
          if (one.kind === 'own') note(requests, end, end + one.count)
          end += one.count
        }
      }
    }),
  )
})
