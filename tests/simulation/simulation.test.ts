/** The simulation simulates: seeds hold, a seed is one run and no other, planted bugs are caught, and the real world is shut out. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mutants } from './mutants.ts'
import type { Run } from './simulate.ts'

const run = (script: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, script), ...args], {
    encoding: 'utf8',
    timeout: 240_000,
  })
  return { status, stdout, stderr }
}
const runsOf = (stdout: string): Run[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Run)

test('seeds hold, with at least 300 jobs and 3 crashes each', { timeout: 250_000 }, () => {
  const { stdout } = run('worker.ts', '1', '12')
  const runs = runsOf(stdout)
  expect(runs).toHaveLength(12)
  for (const { jobs, faults, violations } of runs) {
    expect(violations).toEqual([])
    expect(jobs).toBeGreaterThanOrEqual(300)
    expect(faults.ownerCrash).toBeGreaterThanOrEqual(3)
  }
})

test('the same seed is the same run, byte for byte, and another seed is another', { timeout: 250_000 }, () => {
  const [one, again] = [run('worker.ts', '7', '2').stdout, run('worker.ts', '7', '2').stdout]
  expect(again).toBe(one)
  const [first, second] = runsOf(one)
  expect(first?.traceHash).toMatch(/^[0-9a-f]{64}$/)
  expect(second?.traceHash).not.toBe(first?.traceHash)
})

test.each(['cap-one-too-many', 'calls-before-commit', 'no-fence'])('%s is caught', { timeout: 250_000 }, (name) => {
  const { status, stdout } = run('sim.ts', '--mutant', name, '--workers', '1')
  expect(stdout).toMatch(/1 of 1 planted bugs caught/)
  expect(status).toBe(0)
})

test('there are at least 24 bugs to plant, each with a name of its own', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(24)
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
})

test.each(mutants)('$name has its place in the product', ({ file, find, replace }) => {
  const source = readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
  expect(source.split(find)).toHaveLength(2)
  expect(replace).not.toBe(find)
})

test('a bug that cannot be planted is said, not passed over', () => {
  const { status, stderr } = run('sim.ts', '--mutant', 'nothing-of-that-name')
  expect([status, stderr]).toEqual([2, 'There is no mutant nothing-of-that-name.\n'])
})

test.each([
  'Date.now()',
  'new Date()',
  'Math.random()',
  'setTimeout(() => {}, 1)',
  'performance.now()',
  'crypto.randomUUID()',
])('inside the simulation %s throws', (use) => {
  const module = JSON.stringify(join(import.meta.dirname, 'real-world.ts'))
  const script = `const { shutOutRealWorld } = await import(${module}); const crypto = (await import('node:crypto')).default; shutOutRealWorld(); ${use}`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  expect(status).toBe(1)
  expect(stderr).toMatch(/was used inside the simulation/)
})
