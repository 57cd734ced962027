/** The names by which the stack is found: a service's options, and what tests read instead. */

/**
 * Each option with its name for tests. Two names, because tests must not lead a service that somebody meant elsewhere to
 * the stack of a run, and because a service knows no option for tests and does not start when it is given one.
 */
export const testNames = {
  PF3_KAFKA_BROKERS: 'PF3_TEST_KAFKA_BROKERS',
  PF3_REGISTRY_URL: 'PF3_TEST_REGISTRY_URL',
  PF3_POSTGRES_URL: 'PF3_TEST_POSTGRES_URL',
  PF3_REDIS_URL: 'PF3_TEST_REDIS_URL',
} as const

type OptionName = keyof typeof testNames
type TestName = (typeof testNames)[OptionName]

/** Where everything is, by name of the service's option. */
export type StackEnvironment = Readonly<Record<OptionName, string>>

/** The same by name for tests. */
export const forTests = (environment: StackEnvironment): [TestName, string][] =>
  (Object.keys(testNames) as OptionName[]).map((name) => [testNames[name], environment[name]])
