/** The tests that need a real PostgreSQL server, which is started for the run; its binaries must be installed. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.pg.test.ts'],
    exclude: ['**/node_modules/**', '**/.pf3/**'],
    globalSetup: ['tests/postgres/start-postgres.ts'],
    pool: 'forks',
    maxWorkers: 1, // One file after the other: they share the server's roles.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
