import { expect, test } from 'vitest'
import { plainProgress, toJson } from './print.ts'

function watched() {
  let nowMs = 1_000
  const lines: string[] = []
  const { to } = plainProgress('facts', { nowMs: () => nowMs }, (line) => lines.push(line))
  return {
    lines,
    after(ms: number, done: number) {
      nowMs += ms
      to(done, 10)
    },
  }
}

test('work that is over soon says nothing', () => {
  const { lines, after } = watched()
  for (let done = 0; done <= 10; done++) after(400, done)
  expect(lines).toEqual([])
})

test('long work says how far it is, at most once in five seconds', () => {
  const { lines, after } = watched()
  for (let done = 1; done <= 10; done++) after(2_000, done)
  expect(lines).toEqual(['facts 3/10\n', 'facts 6/10\n', 'facts 9/10\n'])
})

test('work that stands still does not repeat itself', () => {
  const { lines, after } = watched()
  for (let times = 0; times < 10; times++) after(5_000, 4)
  expect(lines).toEqual(['facts 4/10\n'])
})

test('amounts beyond what numbers hold are printed whole', () =>
  expect(toJson({ seq: 9_007_199_254_740_993n })).toBe('{"seq":"9007199254740993"}'))
