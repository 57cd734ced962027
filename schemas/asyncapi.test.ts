/** docs/reference/asyncapi.json says what the schemas and the table of streams say, and is sound AsyncAPI 3.0. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { avroType } from './codec.ts'
import { streamOf } from './events.generated.ts'
import { readOwnSchemas } from './own-schemas.ts'
import { streams } from './streams.ts'
import { asyncApiOf } from './tools/asyncapi.ts'

const file = join(import.meta.dirname, '../docs/reference/asyncapi.json')
const own = readOwnSchemas()
const document = asyncApiOf(own)

test('docs/reference/asyncapi.json is made from the schemas (UPDATE_DOCS=1 writes it)', () => {
  const text = `${JSON.stringify(document, null, 1)}\n`
  if (process.env.UPDATE_DOCS === '1') writeFileSync(file, text)
  else expect(readFileSync(file, 'utf8')).toBe(text)
})

describe('as AsyncAPI 3.0', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
  const isSound = ajv.compile(
    createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json') as object,
  )

  test('it is what the official schema asks for', () => {
    expect(isSound(document), ajv.errorsText(isSound.errors)).toBe(true)
  })

  test.for<[string, (copy: typeof document) => unknown]>([
    [
      'an operation does something else than send or receive',
      (copy) => ({ ...copy, operations: { ask: { action: 'shout' } } }),
    ],
    ['a channel has a field that is no part of one', (copy) => ({ ...copy, channels: { jobs: { adress: 'jobs' } } })],
    ['it does not say its version', ({ asyncapi: _, ...rest }) => rest],
  ])('that schema notices when %s', ([, spoil]) => {
    expect(isSound(spoil(document))).toBe(false)
  })

  test('every reference leads somewhere', () => {
    const refs: string[] = []
    JSON.stringify(document, (key, value: unknown) => {
      if (key === '$ref' && typeof value === 'string') refs.push(value)
      return value
    })
    expect(refs.length).toBe(own.size + streams.length)
    for (const ref of refs) {
      const found = ref
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document)
      expect(found, ref).toBeTypeOf('object')
    }
  })
})

test('every event stands in the channel of its stream, with the very schema it is written with', () => {
  for (const [name, text] of own) {
    expect(Object.keys(document.channels[streamOf[name]]?.messages ?? {})).toContain(name)
    const payload = document.components.messages[name]?.payload
    expect(payload).toEqual({ schemaFormat: 'application/vnd.apache.avro;version=1.9.0', schema: JSON.parse(text) })
    expect(() => avroType(JSON.stringify(payload?.schema))).not.toThrow()
  }
})

test('billing is published, and nothing else is', () => {
  const tagged = Object.entries(document.channels).filter(([, { tags }]) => tags[0]?.name === 'published')
  expect(tagged.map(([name]) => name)).toEqual(['billing'])
})
