/** How long the ids of answered requests are remembered, against a list of all of them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { appendAgainMsMax } from '../../producers/submit-job.ts'
import { answeredKeptMicros, emptyAnswered, isAnswered, rememberAnswered, whatIsAnswered } from './answered.ts'

test('whatever the gaps between them, each id is remembered for a day at least, in seven slots at most', () => {
  const minuteMicros = 60_000_000n
  const gaps = fc.array(fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 3_000 })), {
    maxLength: 120,
  })
  fc.assert(
    fc.property(gaps, (minutes) => {
      const answered = emptyAnswered('secret')
      const all: { id: string; at: bigint }[] = []
      let at = 0n
      for (const [index, gap] of minutes.entries()) {
        at += BigInt(gap) * minuteMicros
        all.push({ id: `job-${index}`, at })
        rememberAnswered(answered, `job-${index}`, at)
        for (const one of all) {
          const age = at - one.at
          if (age < answeredKeptMicros) expect(isAnswered(answered, one.id)).toBe(true)
        }
        expect(answered.slots.length).toBeLessThanOrEqual(7)
      }
    }),
    { numRuns: 30 },
  )
})

test('a clock that is a month ahead for one fact makes nobody forget what came within the last twenty hours', () => {
  const answered = emptyAnswered('secret')
  const hour = 3_600_000_000n
  for (let at = 0n; at < 48n; at++) rememberAnswered(answered, `job-${at}`, at * hour)
  rememberAnswered(answered, 'ahead', 30n * 24n * hour)
  rememberAnswered(answered, 'set right', 30n * 24n * hour + 1n)
  const last = Array.from({ length: 20 }, (_, n) => `job-${47 - n}`)
  expect([...last, 'ahead', 'set right'].filter((id) => !isAnswered(answered, id))).toEqual([])
})

test('an id of which only another of its group was answered is known as that, for as long', () => {
  const answered = emptyAnswered('secret')
  rememberAnswered(answered, 'first', 0n, 'group')
  rememberAnswered(answered, 'alone', answeredKeptMicros)
  const ask = (id: string) => whatIsAnswered(answered, id, 'group')
  expect([ask('first'), ask('second'), isAnswered(answered, 'alone'), isAnswered(answered, 'second')]).toEqual([
    'it',
    'another',
    true,
    false,
  ])
  rememberAnswered(answered, 'second', answeredKeptMicros, 'group')
  expect([ask('first'), ask('second'), ask('third')]).toEqual(['it', 'it', 'another'])
})

test('a door appends a request again only as long as it is remembered', () => {
  expect(BigInt(appendAgainMsMax) * 1_000n).toBeLessThan(answeredKeptMicros)
})

test('three days of jobs, one a second, take the room of one day and two slots', () => {
  const answered = emptyAnswered('secret')
  const [second, days] = [1_000_000n, 3n]
  const seconds = days * 86_400n
  for (let at = 0n; at < seconds; at++) rememberAnswered(answered, `job-${at}`, at * second)
  const kept = answered.slots.reduce((sum, { ids }) => sum + ids.size, 0)
  const bytes = answered.slots.flatMap(({ ids }) => ids.pieces).reduce((sum, { words }) => sum + words.byteLength, 0)
  expect(kept).toBeGreaterThanOrEqual(86_400)
  expect(kept).toBeLessThanOrEqual(86_400 + 2 * 14_400)
  expect(bytes / kept).toBeLessThan(18)
})
