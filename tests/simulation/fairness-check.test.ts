/** What the check of the starvation bound counts, and from when. */
import { expect, test } from 'vitest'
import { fairnessCheck } from './fairness-check.ts'

const first = { tenantId: 'big', cost: 64, weight: 1, readyAt: 0n }
const small = { tenantId: 'small', cost: 8, weight: 1, readyAt: 1n }

function checked() {
  const violations: string[] = []
  return { violations, check: fairnessCheck((what) => violations.push(what)) }
}

test('a ready job that others pass for more than the bound is a violation', () => {
  const { violations, check } = checked()
  check.started({ ...small, readyAt: 0n }, 1n)
  check.started(first, 2n)
  check.started(first, 3n)
  check.started(small, 4n)
  expect(violations).toEqual(['128 of others started before a ready job of small, at most 72 may'])
})

test('what went first while a dearer job of the tenant stood ahead, and was then cancelled, does not count', () => {
  const { violations, check } = checked()
  check.started({ ...small, readyAt: 0n }, 1n)
  check.started(first, 2n)
  check.left('small')
  check.started(first, 3n)
  check.started(small, 4n)
  expect(violations).toEqual([])
})

test('nor when it was the first that the tenant ever had in line', () => {
  const { violations, check } = checked()
  check.started(first, 0n)
  check.started({ ...first, tenantId: 'other', cost: 40 }, 1n)
  check.started({ ...first, tenantId: 'other', cost: 40 }, 2n)
  check.started(first, 3n)
  check.started(first, 3n)
  check.left('small')
  check.started(small, 4n)
  expect(violations).toEqual([])
})
