/** The tests that need the whole stack: Kafka, registry, PostgreSQL, Redis. */
import { suiteOn } from './tests/machine/vitest-config.ts'

export default suiteOn('**/*.kafka.test.ts', 'tests/stack/setup.ts')
