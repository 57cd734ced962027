import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseEventSchema, schemaIdOf } from './avro-schema.ts'
import { codecFor, type EventName } from './codec.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { SchemaRegistryError, schemaRegistryFile } from './registry-file.ts'

const own = readOwnSchemas()
let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'registry-'))
  path = join(directory, 'schemas.json')
})
afterEach(() => rmSync(directory, { recursive: true }))

/** This build's schemas, one of them edited. */
function later(
  name: EventName,
  edit: (fields: { name: string; type: unknown; doc?: string; default?: unknown }[]) => void,
) {
  const schema = parseEventSchema(own.get(name) ?? '')
  edit(schema.fields)
  return new Map([...own, [name, JSON.stringify(schema)]])
}
const withNote = () =>
  later('TokenRevoked', (fields) => fields.push({ name: 'note', type: ['null', 'string'], doc: 'Why.', default: null }))
const subjects = () => JSON.parse(readFileSync(path, 'utf8')).subjects

test('every event has one subject, named by stream and event, and an id of its own', () => {
  const registry = schemaRegistryFile(path, own)
  expect(Object.keys(subjects())).toHaveLength(eventNames.length)
  expect(subjects()['jobs-webwaka.pf3.jobs.JobAdmitted']).toEqual([
    { version: 1, id: registry.idOf('JobAdmitted'), schema: own.get('JobAdmitted') },
  ])
  const ids = eventNames.map((name) => registry.idOf(name))
  expect(new Set(ids).size).toBe(eventNames.length)
  for (const id of ids) expect(id > 0 && id < 2 ** 31 && Number.isInteger(id)).toBe(true)
  expect(registry.schemaOf(registry.idOf('JobRated'))?.name).toBe('JobRated')
  expect(registry.schemaOf(1)).toBeUndefined()
})

test('opened again, nothing is written and the ids stay', () => {
  const first = schemaRegistryFile(path, own)
  const written = statSync(path)
  const second = schemaRegistryFile(path, own)
  expect([statSync(path).ino, statSync(path).mtimeMs]).toEqual([written.ino, written.mtimeMs]) // A rename would change both.
  expect(eventNames.map((name) => second.idOf(name))).toEqual(eventNames.map((name) => first.idOf(name)))
  expect(readdirSync(directory)).toEqual(['schemas.json'])
})

test('better docs are no new version', () => {
  const before = schemaRegistryFile(path, own).idOf('TokenRevoked')
  const reworded = later('TokenRevoked', (fields) => {
    for (const field of fields) field.doc = 'Said better.'
  })
  expect(schemaRegistryFile(path, reworded).idOf('TokenRevoked')).toBe(before)
  expect(subjects()['accounts-webwaka.pf3.accounts.TokenRevoked']).toHaveLength(1)
})

test('a later build adds its version, reads the earlier one, and an earlier build still runs on the file', () => {
  const first = schemaRegistryFile(path, own)
  const revoked = {
    type: 'TokenRevoked',
    tenantId: 't',
    eventId: 'e',
    seq: 1n,
    occurredAt: 2n,
    actor: 'owner',
    correlationId: 'c',
    causedBy: 'r',
    intakeOffset: null,
    traceparent: null,
    tokenId: 'k',
  } as const
  const old = codecFor(first, own).encode(revoked)

  const schemas = withNote()
  const second = schemaRegistryFile(path, schemas)
  expect(second.idOf('TokenRevoked')).not.toBe(first.idOf('TokenRevoked'))
  expect(subjects()['accounts-webwaka.pf3.accounts.TokenRevoked'].map((v: { version: number }) => v.version)).toEqual([
    1, 2,
  ])
  const codec = codecFor(second, schemas)
  expect(codec.decode(old)).toEqual({ ...revoked, note: null })

  const third = schemaRegistryFile(path, own)
  expect(third.idOf('TokenRevoked')).toBe(first.idOf('TokenRevoked'))
  const written = codec.encode({ ...revoked, ...{ note: 'lost' } })
  expect(codecFor(third, own).decode(written)).toEqual(revoked)
})

test('an incompatible schema is refused by subject and reason, and nothing of its build is registered', () => {
  schemaRegistryFile(path, own)
  const before = readFileSync(path, 'utf8')
  const bad = new Map([
    ...withNote(),
    ...[...later('JobRated', (fields) => fields.pop())].filter(([name]) => name === 'JobRated'),
  ])
  expect(() => schemaRegistryFile(path, bad)).toThrow(SchemaRegistryError)
  try {
    schemaRegistryFile(path, bad)
  } catch (error) {
    expect(error).toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      facts: { subject: 'billing-webwaka.pf3.billing.JobRated' },
    })
    expect(String(error)).toMatch(/version 1: it cannot read new records: .*settlements/)
  }
  expect(readFileSync(path, 'utf8')).toBe(before)
})

test('a lost file is made again with every version there ever was, under the same ids', () => {
  schemaRegistryFile(path, own)
  const schemas = withNote()
  schemaRegistryFile(path, schemas)
  const before = readFileSync(path, 'utf8')
  rmSync(path)
  schemaRegistryFile(
    path,
    schemas,
    [...own].map(([name, schema]) => ({ name, schema })),
  )
  expect(readFileSync(path, 'utf8')).toBe(before)
})

test.for<[what: string, damage: (text: string) => string]>([
  ['cut off', (text) => text.slice(0, text.length / 2)],
  ['empty', () => ''],
  ['of another format', (text) => text.replace('"format": 1', '"format": 2')],
  ['with an id changed', (text) => text.replace(/"id": (\d)/, (_, digit) => `"id": ${(Number(digit) % 9) + 1}`)],
  ['with a schema changed', (text) => text.replace('\\"retryAt\\"', '\\"retryOn\\"')],
  ['with a version missing', (text) => text.replace('"version": 1', '"version": 2')],
  [
    'with a subject of another name',
    (text) => text.replace('"jobs-webwaka.pf3.jobs.JobFailed"', '"jobs-webwaka.pf3.jobs.JobEnded"'),
  ],
])('a file %s is not believed', ([, damage]) => {
  schemaRegistryFile(path, own)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, damage(text))
  expect(readFileSync(path, 'utf8')).not.toBe(text)
  expect(() => schemaRegistryFile(path, own)).toThrow(/^REGISTRY_DAMAGED/)
})

test('processes that open it at once agree', async () => {
  const program = `
    const { schemaRegistryFile } = await import(${JSON.stringify(join(import.meta.dirname, 'registry-file.ts'))})
    const { readOwnSchemas } = await import(${JSON.stringify(join(import.meta.dirname, 'own-schemas.ts'))})
    console.log(schemaRegistryFile(${JSON.stringify(path)}, readOwnSchemas()).idOf('JobRated'))`
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  const ids = (await Promise.all([run(), run(), run()])).map(({ stdout }) => Number(stdout))
  expect(ids).toEqual(Array.from({ length: 3 }, () => schemaIdOf(own.get('JobRated') ?? '')))
  expect(schemaRegistryFile(path, own).idOf('JobRated')).toBe(ids[0])
  expect(readdirSync(directory)).toEqual(['schemas.json'])
})
