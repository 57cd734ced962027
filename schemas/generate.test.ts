import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseEventSchema } from './avro-schema.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { generate } from './tools/generate.ts'

const written = readFileSync(join(import.meta.dirname, 'events.generated.ts'), 'utf8')

test('the types are what the schemas say', () => {
  expect(generate()).toBe(written)
})

/** The text of one type, to its closing brace or end of line. */
const typeText = (name: string): string =>
  new RegExp(`export type ${name} = (\\{[^}]*\\}|[^\\n]*)`).exec(written)?.[1] ?? ''

test('long and decimal are bigint, int is number, null comes last, enums and records have names', () => {
  expect(typeText('JobRatedBody')).toContain('chargedPico: bigint')
  expect(typeText('JobRatedBody')).toContain('attempts: number')
  expect(typeText('JobRatedBody')).toContain('providerCostPico: bigint | null')
  expect(typeText('JobRatedBody')).toContain('lines: JobRatedRatedLine[]')
  expect(typeText('JobRatedBody')).toContain('outcome: JobRatedJobOutcome')
  expect(typeText('AttemptFailedBody')).toContain('indeterminate: boolean')
  expect(typeText('CapSetCapPeriod')).toBe("'day' | 'week' | 'month' | 'total' | 'unknown'")
  expect(typeText('CapSet')).toBe('FactHeader & CapSetBody')
  expect(typeText('SetCap')).toBe('RequestHeader & SetCapBody')
})

test('every field of every event is there, with its doc', () => {
  for (const [name, schema] of readOwnSchemas()) {
    const headers = `${typeText('FactHeader')}${typeText('RequestHeader')}`
    for (const field of parseEventSchema(schema).fields) {
      const line = `/** ${field.doc} */\n  ${field.name}: `
      expect(typeText(`${name}Body`).includes(line) || headers.includes(line), `${name}.${field.name}`).toBe(true)
    }
  }
})

test('the unions hold every event once', () => {
  const members = (name: string) => typeText(name).split(' | ')
  const streams = [...members('Request'), ...members('Fact')]
  expect(streams.flatMap(members).sort()).toEqual([...eventNames].sort())
  expect([...members('RequestBody'), ...members('FactBody')].sort()).toEqual(
    eventNames.map((name) => `${name}Body`).sort(),
  )
})
