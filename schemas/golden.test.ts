import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AvroRecord, parseEventSchema, schemaIdOf } from './avro-schema.ts'
import { codecFor, type EventName } from './codec.ts'
import { eventNames, readEveryVersion, readOwnSchemas } from './own-schemas.ts'
import { addVersions, complaints, goldenDirectory, goldenVersions, plainJson } from './tools/golden.ts'
import { enumsIn } from './tools/sample-records.ts'

const own = readOwnSchemas()
const everyId = new Map(readEveryVersion().map((version) => [schemaIdOf(version.schema), version]))
const today = codecFor({ idOf: (name) => schemaIdOf(own.get(name) ?? ''), schemaOf: (id) => everyId.get(id) }, own)

test('the corpus holds every version and none was changed', () => {
  expect(complaints(own)).toEqual([])
})

test.for(eventNames)('every record of %s ever written still says what it said', (name) => {
  const versions = goldenVersions(name)
  expect(versions.length).toBeGreaterThan(0)
  const fields = new Set(['type', ...parseEventSchema(own.get(name) ?? '').fields.map((field) => field.name)])
  for (const { version, records } of versions) {
    expect(records.length).toBeGreaterThan(0)
    for (const { wire, event } of records) {
      const bytes = Buffer.from(wire, 'base64')
      const said = today.decode(bytes)
      expect(plainJson(said)).toMatchObject(
        Object.fromEntries(Object.entries(event).filter(([key]) => fields.has(key))),
      )
      expect(today.decode(today.encode(said))).toEqual(said)
      if (version === versions.length) expect(today.encode(said).equals(bytes)).toBe(true)
    }
  }
})

test.for(eventNames)('the records of %s reach the edges: limits, nulls, long texts, every symbol', (name) => {
  const { records, schema } = goldenVersions(name).at(-1) ?? { records: [], schema: own.get(name) ?? '' }
  const all = JSON.stringify(records.map(({ event }) => event))
  const edges = enumsIn(parseEventSchema(schema)).flatMap(({ symbols }) => symbols.map((symbol) => `"${symbol}"`))
  edges.push(`${2n ** 63n - 1n}n`, `${-(2n ** 63n)}n`, 'null', '""')
  if (schema.includes('"decimal"')) edges.push(`${10n ** 38n - 1n}n`, `${1n - 10n ** 38n}n`)
  if (schema.includes('"int"')) edges.push('2147483647', '-2147483648')
  expect(edges.filter((edge) => !all.includes(edge))).toEqual([])
  const texts = records.flatMap(({ event }) => Object.values(event).filter((value) => typeof value === 'string'))
  expect(Math.max(...texts.map((text) => Buffer.byteLength(text)))).toBeGreaterThan(127)
})

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'golden-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const edited = (name: EventName, edit: (schema: AvroRecord) => void): Map<EventName, string> => {
  const schema = parseEventSchema(own.get(name) ?? '')
  edit(schema)
  return new Map([...own, [name, JSON.stringify(schema, null, 2)]])
}
const withNote = edited('CapRemoved', (schema) =>
  schema.fields.push({ name: 'note', type: ['null', 'string'], default: null }),
)

test('the tool adds a version for what changed and leaves the older one alone', () => {
  cpSync(goldenDirectory, root, { recursive: true })
  expect(addVersions(own, root)).toEqual([])
  const before = readFileSync(join(root, 'CapRemoved/v1.json'), 'utf8')
  expect(complaints(withNote, root)).toEqual([
    'CapRemoved: version 2 is missing; run `npm run golden` and commit the result',
  ])
  expect(addVersions(withNote, root)).toEqual(['CapRemoved v2'])
  expect(complaints(withNote, root)).toEqual([])
  expect(readdirSync(join(root, 'CapRemoved')).sort()).toEqual(['v1.avsc', 'v1.json', 'v2.avsc', 'v2.json'])
  expect(readFileSync(join(root, 'CapRemoved/v1.json'), 'utf8')).toBe(before)
  expect(addVersions(withNote, root)).toEqual([])
})

test('the tool refuses a schema that may not follow, and adds nothing at all', () => {
  cpSync(goldenDirectory, root, { recursive: true })
  const bad = new Map([
    ...withNote,
    ...[...edited('JobRated', (schema) => schema.fields.pop())].filter(([name]) => name === 'JobRated'),
  ])
  expect(() => addVersions(bad, root)).toThrow(/JobRated: version 1: it cannot read new records/)
  expect(readdirSync(join(root, 'CapRemoved'))).toHaveLength(2)
  expect(complaints(bad, root).join()).toMatch(/JobRated: version 1: it cannot read new records/)
})

test.for<[what: string, file: string, change: (text: string) => string, complaint: RegExp]>([
  [
    'its schema',
    'v1.avsc',
    (text) => text.replace('"version"', '"versions"'),
    /'ordinary values' was written with another schema/,
  ],
  [
    'what it says',
    'v1.json',
    (text) => text.replace('"capId": "capId-1"', '"capId": "capId-2"'),
    /'ordinary values' no longer says what it said/,
  ],
  [
    'its bytes',
    'v1.json',
    (text) => text.replace(/"wire": "[^"]+"/, '"wire": "AAAAAAA="'),
    /'ordinary values' was written with another schema/,
  ],
  ['its records, all taken away', 'v1.json', () => '[]', /it has no records/],
])('an older version with a change in %s is seen', ([, file, change, complaint]) => {
  cpSync(goldenDirectory, root, { recursive: true })
  const path = join(root, 'CapRemoved', file)
  writeFileSync(path, change(readFileSync(path, 'utf8')))
  expect(complaints(own, root).join('\n')).toMatch(complaint)
})
