/** Suites that need something real, which is started once for the run: one file after the other, since they share it. */
import { defineConfig, type ViteUserConfig } from 'vitest/config'

export const suiteOn = (include: string, globalSetup: string): ViteUserConfig =>
  defineConfig({
    test: {
      include: [include],
      exclude: ['**/node_modules/**', '**/.pf3/**'],
      globalSetup: [globalSetup],
      pool: 'forks',
      maxWorkers: 1,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 20_000 } },
      reporters: ['default'],
      allowOnly: false,
      passWithNoTests: false,
    },
  })
