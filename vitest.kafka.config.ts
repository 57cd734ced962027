/** The tests that need the whole stack, which is started for the run: Kafka, registry, PostgreSQL, Redis. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.kafka.test.ts'],
    exclude: ['**/node_modules/**', '**/.pf3/**'],
    globalSetup: ['tests/stack/setup.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
