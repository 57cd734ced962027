/** Where the stack of a test run comes from: the environment, an engine of containers, or this machine's own Java; in this order. */
import { forTests, type StackEnvironment, testNames } from './environment.ts'

export type FoundStack = {
  /** Undefined when the environment already names everything. */
  environment: StackEnvironment | undefined
  stop(): Promise<void>
}

type Started = { environment: StackEnvironment; stop(): Promise<void> }

export type Sources = {
  env: Readonly<Record<string, string | undefined>>
  hasDocker(): Promise<boolean>
  startContainers(): Promise<Started>
  /** Throws, naming what is missing, on a machine that cannot. */
  startOnJvm(): Promise<Started>
}

/**
 * Throws when only some names are in the environment, and when nothing can be started, with what to do. An engine that is
 * there and cannot start the containers is told, and Java is tried: images may be out of reach.
 */
export async function findStack(
  { env, hasDocker, startContainers, startOnJvm }: Sources,
  say: (what: string) => void = (what) => void process.stderr.write(`${what}\n`),
): Promise<FoundStack> {
  const names = Object.values(testNames)
  const missing = names.filter((name) => !env[name])
  if (missing.length === 0) return { environment: undefined, stop: async () => {} }
  if (missing.length < names.length)
    throw new Error(`All of ${names.join(', ')} or none of them must be set; ${missing.join(', ')} is not.`)
  const reasons: string[] = []
  if (await hasDocker()) {
    try {
      return await startContainers()
    } catch (error) {
      reasons.push(`Docker: ${messageOf(error)}`)
      say(`The containers did not start, so Java is tried: ${messageOf(error)}`)
    }
  } else {
    reasons.push('Docker: no engine answers.')
  }
  try {
    return await startOnJvm()
  } catch (error) {
    reasons.push(`Java: ${messageOf(error)}`)
  }
  throw new Error(
    [
      `There is no Kafka to test on. ${names.join(', ')} are not set.`,
      ...reasons,
      'Start one with `npm run stack` in another shell, which says what to set, after: tests/stack/install.sh java redis postgres',
    ].join('\n'),
  )
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** By the names that tests read. */
export function tellTests(environment: StackEnvironment): void {
  for (const [name, value] of forTests(environment)) process.env[name] = value
}
