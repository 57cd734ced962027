/** The stack of one test run: what the environment names, or one that is started here and gone afterwards. */
import { type Stack, startStack } from './start-stack.ts'

let started: Stack | undefined

/** Every name of the stack's environment, as tests, helpers of other suites and processes that they start find it. */
const testName = (name: string): string => name.replace('PF3_', 'PF3_TEST_')
const names = ['PF3_KAFKA_BROKERS', 'PF3_REGISTRY_URL', 'PF3_POSTGRES_URL', 'PF3_REDIS_URL'].map(testName)

/** Called by vitest before the first file. Throws when only some of the environment's variables are set. */
export async function setup(): Promise<void> {
  const missing = names.filter((name) => !process.env[name])
  if (missing.length === 0) return
  if (missing.length < names.length) throw new Error(`All of ${names.join(', ')} or none of them must be set.`)
  started = await startStack()
  for (const [name, value] of Object.entries(started.environment)) process.env[testName(name)] = value
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await started?.stop()
}
