/** Checks who imports whom. `node tests/structure/imports.ts` prints every breach of the table and fails on any. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser'
import { readerOptions, ruleSet } from './import-rules.ts'

export type Breach = { rule: string; from: string; to: string }

/** Every breach below `root`, a directory laid out like this repository. */
export async function importBreaches(root: string): Promise<Breach[]> {
  const options: ICruiseOptions = { ...readerOptions, baseDir: root, validate: true, ruleSet }
  const { output } = await cruise(sources(root), options, resolution)
  return (output as ICruiseResult).summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }))
}

const resolution = {
  extensions: ['.ts', '.mjs', '.js', '.json'],
  exportsFields: ['exports'],
  conditionNames: ['import', 'node', 'types', 'default'],
}

const sources = (root: string): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map((entry) => entry.name)
    .concat(existsSync(join(root, 'vitest.config.ts')) ? ['vitest.config.ts'] : [])

if (import.meta.main) {
  const breaches = await importBreaches(join(import.meta.dirname, '../..'))
  for (const { rule, from, to } of breaches) console.error(`${rule}: ${from} → ${to}`)
  console.log(breaches.length === 0 ? 'Imports follow the table of rooms.' : `${breaches.length} forbidden imports.`)
  if (breaches.length > 0) process.exitCode = 1
}
