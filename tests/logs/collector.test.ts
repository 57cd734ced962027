/** The configuration of the collector keeps each level as long as the contract of logs says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { retentionDays } from '../../platform/telemetry/messages.ts'

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../../deploy/logs', name), 'utf8')

type Vector = {
  sources: Record<string, { type: string }>
  transforms: Record<string, { type: string; inputs: string[]; file: string }>
  sinks: Record<
    string,
    { inputs: string[]; key_prefix: string; encoding: { codec: string }; buffer: { when_full: string } }
  >
}
type Lifecycle = { Rules: { Status: string; Filter: { Prefix: string }; Expiration: { Days: number } }[] }

const vector = JSON.parse(read('vector.json')) as Vector
const lifecycle = JSON.parse(read('lifecycle.json')) as Lifecycle

/** As the rules choose it: the branch for the level, or the last one. */
function classOf(level: string): string {
  const choice = read('retention.vrl').split('.retention = ')[1] ?? ''
  const branch =
    new RegExp(`\\.level == "${level}" \\{ "(\\w+)" \\}`).exec(choice) ?? / else \{ "(\w+)" \}\s*$/.exec(choice)
  return branch?.[1] ?? ''
}

test.each(Object.entries(retentionDays))('%s is kept %i days', (level, days) => {
  const rules = lifecycle.Rules.filter(({ Filter }) => Filter.Prefix === `${classOf(level)}/`)
  expect(rules).toMatchObject([{ Status: 'Enabled', Expiration: { Days: days } }])
})

test('what the rules class is what is stored, under its class, and nobody waits for the storage', () => {
  expect(Object.keys(vector.sources)).toEqual(['pf3'])
  expect(vector.transforms['classed']).toMatchObject({ type: 'remap', inputs: ['pf3'] })
  expect(vector.transforms['classed']?.file).toContain('deploy/logs/retention.vrl')
  expect(Object.values(vector.sinks)).toMatchObject([
    { inputs: ['classed'], encoding: { codec: 'json' }, buffer: { when_full: 'drop_newest' } },
  ])
  expect(vector.sinks['storage']?.key_prefix).toMatch(/^\{\{ retention \}\}\//)
})

test('every option the collector reads is told beside it', () => {
  const named = [...read('vector.json').matchAll(/\$\{(\w+)/g)].map(([, name]) => name)
  expect(named.length).toBeGreaterThan(0)
  for (const name of named) expect(read('README.md')).toContain(`| \`${name}\` |`)
})
