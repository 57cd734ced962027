/** How much of the pure rules the tests beside them run: decisions, states and prices, where a missed branch costs money. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['processors/**/*.test.ts', 'pricing/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/*.pg.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
    coverage: {
      provider: 'v8',
      include: ['processors/*/decide.ts', 'processors/*/state.ts', 'pricing/**/*.ts'],
      exclude: ['**/*.test.ts', '**/index.ts'], // An index only names what others hold.,
      reporter: ['text'],
      thresholds: { lines: 95, branches: 95, functions: 95, statements: 95 },
    },
  },
})
