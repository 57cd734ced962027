/** The stack of one test run: what the environment names, or one that is started here and gone afterwards. */
import { forTests, testNames } from './environment.ts'
import { type Stack, startStack } from './start-stack.ts'

let started: Stack | undefined

/**
 * Called by vitest before the first file. Tests, helpers of other suites and processes that they start find everything in
 * the environment. Throws when only some of its names are set.
 */
export async function setup(): Promise<void> {
  const names = Object.values(testNames)
  const missing = names.filter((name) => !process.env[name])
  if (missing.length === 0) return
  if (missing.length < names.length) throw new Error(`All of ${names.join(', ')} or none of them must be set.`)
  started = await startStack()
  for (const [name, value] of forTests(started.environment)) process.env[name] = value
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await started?.stop()
}
