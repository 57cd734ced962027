/** The tests that need object storage: a server that speaks S3's protocol (moto, from PyPI) is started for the run. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['**/*.s3.test.ts'],
    exclude: ['**/node_modules/**', '**/.pf3/**'],
    globalSetup: ['tests/s3/start-s3.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
