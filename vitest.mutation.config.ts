/** The tests that mutation is measured by: those of the pure rules alone, because each mutant runs them again. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['processors/*/*.test.ts', 'processors/{deciders,partition-state,timers}.test.ts', 'pricing/*.test.ts'],
    exclude: ['**/node_modules/**', 'processors/admission/periods.test.ts', 'processors/rating/replay.test.ts'],
    setupFiles: ['tests/mutation/fixed-seed.ts'],
    testTimeout: 60_000,
    reporters: ['default'],
    allowOnly: false,
    passWithNoTests: false,
  },
})
