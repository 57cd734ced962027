/** The tests that need a real PostgreSQL server; its binaries must be installed. */
import { suiteOn } from './tests/machine/vitest-config.ts'

export default suiteOn('**/*.pg.test.ts', 'tests/postgres/start-postgres.ts')
