/**
 * Adds up what the suites of .ci/run reported and ends with 'N passed, N failed'. A suite that did not run, had no
 * tests, could not load a file or left tests out is a failure, and so is every stage that failed otherwise.
 *
 * `node tests/structure/sum-results.ts <directory of results> '<suites>' '<failed stages>'`
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Sum = { passed: number; failed: number; complaints: string[] }

/** What vitest's JSON reporter writes, as far as it matters here. */
type Report = {
  success: boolean
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: {
    name: string
    message?: string
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

export function sumResults(directory: string, suites: readonly string[], failedStages: readonly string[]): Sum {
  const sum: Sum = { passed: 0, failed: 0, complaints: [] }
  const complain = (text: string) => {
    sum.failed++
    sum.complaints.push(text)
  }
  const accounted = new Set<string>()
  for (const suite of suites) {
    const report = readReport(join(directory, `${suite}.json`))
    if (!report) {
      accounted.add(suite)
      complain(`${suite}: it did not run to its end`)
      continue
    }
    sum.passed += report.numPassedTests
    sum.failed += report.numFailedTests
    if (report.numFailedTests > 0) {
      accounted.add(suite)
      sum.complaints.push(`${suite}: ${report.numFailedTests} failed`)
    }
    if (report.numPassedTests + report.numFailedTests === 0) complain(`${suite}: it has no tests`)
    const left = report.numPendingTests + report.numTodoTests
    if (left > 0) complain(`${suite}: ${left} tests were left out`)
    for (const file of report.testResults) {
      if (file.assertionResults.length === 0) complain(`${suite}: no test of ${file.name} ran`)
      sum.complaints.push(...namesOfWhatDidNotPass(suite, file))
    }
  }
  for (const stage of failedStages) if (!accounted.has(stage)) complain(`${stage}: the stage failed`)
  return sum
}

/** A line for a file that failed outside its tests, as in a hook, and one for each of its tests that did not pass. */
function namesOfWhatDidNotPass(suite: string, file: Report['testResults'][number]): string[] {
  const at = `${suite}: ${file.name}`
  const lines = file.message ? [`${at}: ${firstLine(file.message)}`] : []
  for (const { status, fullName, failureMessages } of file.assertionResults) {
    if (status === 'passed') continue
    const why = failureMessages[0] ? `: ${firstLine(failureMessages[0])}` : ''
    lines.push(`${at} > ${fullName}: ${status}${why}`)
  }
  return lines
}

const firstLine = (text: string) => text.trim().split('\n', 1)[0]

function readReport(path: string): Report | undefined {
  if (!existsSync(path)) return undefined
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    return undefined // Cut off in the middle of writing: it did not run to its end.
  }
}

if (import.meta.main) {
  const [directory = '', suites = '', failedStages = ''] = process.argv.slice(2)
  const words = (text: string) => text.split(' ').filter((word) => word !== '')
  const { passed, failed, complaints } = sumResults(directory, words(suites), words(failedStages))
  for (const complaint of complaints) console.log(complaint)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
}
