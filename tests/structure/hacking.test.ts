import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const page = readFileSync(join(root, 'docs/HACKING.md'), 'utf8')

test('every command the page names is there', () => {
  const named = [...page.matchAll(/^npm (?:run )?([a-z0-9:]+)/gm)]
    .map(([, name]) => name ?? '')
    .filter((name) => name !== 'ci')
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})

test('every script that people run is on the page, and every program a script starts exists', () => {
  const partsOfOthers = new Set(['gen:check', 'format', 'postinstall'])
  expect(
    Object.keys(scripts).filter((name) => !partsOfOthers.has(name) && !new RegExp(`npm (run )?${name}\\b`).test(page)),
  ).toEqual([])
  for (const command of Object.values(scripts)) {
    for (const [, program = ''] of command.matchAll(/\bnode (\S+\.ts)/g))
      expect(existsSync(join(root, program)), program).toBe(true)
    for (const [, script = ''] of command.matchAll(/npm run (?:--silent )?([a-z0-9:]+)/g))
      expect(scripts).toHaveProperty([script])
    for (const [, config = ''] of command.matchAll(/--config (\S+)/g))
      expect(existsSync(join(root, config)), config).toBe(true)
  }
})
