import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { watch } from './watch.ts'

const fast = (delayMs: number, run: () => void) => systemClock.after(delayMs / 100, run)
const clock = { ...systemClock, after: fast }

test('what goes and comes back is told once each time, and what does not answer is away', async () => {
  let answer: () => Promise<unknown> = async () => 1
  const told: unknown[] = []
  const one = watch({ name: 'registry', look: () => answer() }, clock, (name, isUp, error) =>
    told.push([name, isUp, error instanceof Error ? error.message : error]),
  )
  onTestFinished(() => one.stop())
  await new Promise((resolve) => setTimeout(resolve, 60))
  expect([one.isUp(), told]).toEqual([true, []])

  answer = () => Promise.reject(new Error('refused'))
  await expect.poll(() => one.isUp()).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 60))
  answer = async () => 1
  await expect.poll(() => one.isUp()).toBe(true)
  answer = () => new Promise(() => {})
  await expect.poll(() => one.isUp()).toBe(false)
  expect(told).toEqual([
    ['registry', false, 'refused'],
    ['registry', true, undefined],
    ['registry', false, 'no answer within 2000 ms'],
  ])
})

test('after its end it looks no more and tells nobody', async () => {
  let looks = 0
  const told: boolean[] = []
  const one = watch({ name: 'postgres', look: async () => looks++ }, clock, (_, isUp) => told.push(isUp))
  await expect.poll(() => looks).toBeGreaterThan(1)
  await one.stop()
  await one.stop()
  const atEnd = looks
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([looks, told]).toEqual([atEnd, []])
})
