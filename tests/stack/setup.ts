/**
 * The stack of one test run: what the environment names, or one that is started here and gone afterwards. Tests find it
 * by `inject('stack')`.
 */
import type { TestProject } from 'vitest/node'
import { type Stack, startStack } from './start-stack.ts'

export type StackUrls = { brokers: string; registryUrl: string; postgresUrl: string; redisUrl: string }

declare module 'vitest' {
  export interface ProvidedContext {
    stack: StackUrls
  }
}

const names = {
  brokers: 'PF3_TEST_KAFKA_BROKERS',
  registryUrl: 'PF3_TEST_REGISTRY_URL',
  postgresUrl: 'PF3_TEST_POSTGRES_URL',
  redisUrl: 'PF3_TEST_REDIS_URL',
} as const satisfies Record<keyof StackUrls, string>

let started: Stack | undefined

/** Called by vitest before the first file. Throws when only some of the environment's variables are set. */
export async function setup(project: TestProject): Promise<void> {
  const given = Object.entries(names).map(([key, name]) => [key, process.env[name] ?? ''] as const)
  const missing = given.filter(([, value]) => value === '').length
  if (missing > 0 && missing < given.length)
    throw new Error(`All of ${Object.values(names).join(', ')} or none of them must be set.`)
  if (missing === 0) {
    project.provide('stack', Object.fromEntries(given) as StackUrls)
    return
  }
  started = await startStack()
  const urls = {
    brokers: started.kafka.addresses,
    registryUrl: started.registry.url,
    postgresUrl: started.postgresUrl,
    redisUrl: started.redis.url,
  }
  // Helpers of other suites, and processes that tests start, find it by these.
  for (const [key, name] of Object.entries(names)) process.env[name] = urls[key as keyof StackUrls]
  project.provide('stack', urls)
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  await started?.stop()
}
