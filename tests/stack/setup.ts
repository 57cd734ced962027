/** The stack of one test run: what the environment names, or one that is started here and gone afterwards. */
import { hasDocker, startContainers } from './containers.ts'
import { type FoundStack, findStack, tellTests } from './find-stack.ts'
import { startStack } from './start-stack.ts'

let found: FoundStack | undefined

/**
 * Called by vitest before the first file. Tests, helpers of other suites and processes that they start find everything in
 * the environment.
 */
export async function setup(): Promise<void> {
  found = await findStack({ env: process.env, hasDocker, startContainers, startOnJvm: startStack })
  if (found.environment) tellTests(found.environment)
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await found?.stop()
}
