import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'results-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const report = (passed: number, failed = 0, pending = 0, more: object = {}) => ({
  success: failed === 0,
  numPassedTests: passed,
  numFailedTests: failed,
  numPendingTests: pending,
  numTodoTests: 0,
  testResults: [{ name: 'a.test.ts', message: '', assertionResults: [{ status: 'passed', fullName: 'it holds' }] }],
  ...more,
})

/** Runs it as .ci/run does. */
function run(reports: Record<string, object | string>, failedStages: string[] = []) {
  for (const [suite, content] of Object.entries(reports)) {
    writeFileSync(join(directory, `${suite}.json`), typeof content === 'string' ? content : JSON.stringify(content))
  }
  const program = join(import.meta.dirname, 'sum-results.ts')
  const { stdout, status } = spawnSync(
    process.execPath,
    [program, directory, 'test postgres', failedStages.join(' ')],
    { encoding: 'utf8' },
  )
  return { lastLine: stdout.trimEnd().split('\n').at(-1), status, stdout }
}

test('what passed is added up, and only that exits with 0', () => {
  expect(run({ test: report(700), postgres: report(42) })).toMatchObject({
    lastLine: '742 passed, 0 failed',
    status: 0,
  })
})

test.for<
  [what: string, reports: Record<string, object | string>, failedStages: string[], lastLine: string, said: string]
>([
  ['a test failed', { test: report(699, 1), postgres: report(42) }, ['test'], '741 passed, 1 failed', 'test: 1 failed'],
  ['a suite did not run', { test: report(700) }, [], '700 passed, 1 failed', 'postgres: it did not run to its end'],
  [
    'a suite was killed while it wrote',
    { test: report(700), postgres: '{"numPassed' },
    ['postgres'],
    '700 passed, 1 failed',
    'postgres: it did not run to its end',
  ],
  [
    'a suite has no tests',
    { test: report(700), postgres: report(0, 0, 0, { testResults: [] }) },
    [],
    '700 passed, 1 failed',
    'postgres: it has no tests',
  ],
  [
    'a test was left out',
    { test: report(700, 0, 3), postgres: report(42) },
    [],
    '742 passed, 1 failed',
    'test: 3 tests were left out',
  ],
  [
    'a file could not be loaded',
    {
      test: report(700, 0, 0, {
        testResults: [{ name: 'b.test.ts', message: 'no such module', assertionResults: [] }],
      }),
      postgres: report(42),
    },
    [],
    '742 passed, 1 failed',
    'test: no test of b.test.ts ran',
  ],
  [
    'a stage without tests failed',
    { test: report(700), postgres: report(42) },
    ['check'],
    '742 passed, 1 failed',
    'check: the stage failed',
  ],
  [
    'all tests passed and the suite still failed',
    { test: report(700), postgres: report(42) },
    ['test'],
    '742 passed, 1 failed',
    'test: the stage failed',
  ],
])('it fails when %s', ([, reports, failedStages, lastLine, said]) => {
  const result = run(reports, failedStages)
  expect(result).toMatchObject({ lastLine, status: 1 })
  expect(result.stdout).toContain(said)
})

test('it names what did not pass, a line each, with the first line of why', () => {
  const testResults = [
    {
      name: 'a.test.ts',
      message: '',
      assertionResults: [
        { fullName: 'it holds', status: 'passed', failureMessages: [] },
        {
          fullName: 'it breaks',
          status: 'failed',
          failureMessages: ['AssertionError: expected 1 to be 2\n    at a:1'],
        },
        { fullName: 'it hangs', status: 'skipped', failureMessages: [] },
      ],
    },
    {
      name: 'b.test.ts',
      message: 'Hook timed out in 120000ms.\nIf this is a long-running hook',
      assertionResults: [{ fullName: 'it waits', status: 'skipped', failureMessages: [] }],
    },
  ]
  const { stdout } = run({ test: report(1, 1, 2, { testResults }), postgres: report(42) }, ['test'])
  expect(stdout.trimEnd().split('\n')).toEqual([
    'test: 1 failed',
    'test: 2 tests were left out',
    'test: a.test.ts > it breaks: failed: AssertionError: expected 1 to be 2',
    'test: a.test.ts > it hangs: skipped',
    'test: b.test.ts: Hook timed out in 120000ms.',
    'test: b.test.ts > it waits: skipped',
    '43 passed, 2 failed',
  ])
})
