/** The tests that need a real PostgreSQL server; its tools must be installed. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.pg.test.ts'],
    exclude: ['**/node_modules/**', '**/.pf3/**'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
