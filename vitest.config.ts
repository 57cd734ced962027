/** Every test that needs only Node. Those that need a real PostgreSQL or object storage are in vitest.pg.config.ts and vitest.s3.config.ts. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/.pf3/**', '**/*.pg.test.ts', '**/*.s3.test.ts', '**/*.kafka.test.ts'],
    pool: 'forks', // Tests kill child processes and open worker threads of their own.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
