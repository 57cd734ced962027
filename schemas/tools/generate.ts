/**
 * Writes schemas/events.generated.ts from the Avro schemas. `npm run gen` writes it, `npm run gen -- --check`
 * fails when it differs from what the schemas say.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AvroField, type AvroRecord, type AvroSchema, parseEventSchema } from '../avro-schema.ts'
import { streams } from '../streams.ts'

type EventSchema = AvroRecord & { namespace: string }

const root = join(import.meta.dirname, '..')
const target = join(root, 'events.generated.ts')
const headerNames = {
  fact: [
    'tenantId',
    'eventId',
    'seq',
    'occurredAt',
    'actor',
    'correlationId',
    'causedBy',
    'intakeOffset',
    'traceparent',
  ],
  request: ['tenantId', 'requestId', 'requestedAt', 'actor', 'correlationId', 'directoryVersion', 'traceparent'],
}

export function generate(): string {
  const out = ['// Generated from the Avro schemas by `npm run gen`. Do not edit.', '']
  const loaded = streams.map(({ name: stream }) => ({ stream, schemas: load(stream) }))
  out.push(header('FactHeader', 'Every fact has these.', firstOf(loaded, 'jobs'), headerNames.fact))
  const names = headerNames.fact.map((name) => `  '${name}',`)
  out.push(['/** Their names. */', 'export const factHeaderNames = [', ...names, '] as const', ''].join('\n'))
  out.push(header('RequestHeader', 'Every request has these.', firstOf(loaded, 'intake'), headerNames.request))
  for (const { stream, schemas } of loaded) {
    for (const schema of schemas) out.push(eventTypes(stream, schema))
    const union = schemas.map((s) => s.name)
    out.push(`export type ${pascal(stream)}Event = ${union.join(' | ')}`, '')
  }
  const facts = loaded.filter((l) => l.stream !== 'intake')
  out.push(`export type Request = IntakeEvent`)
  out.push(
    `export type RequestBody = ${schemasOf(loaded, 'intake')
      .map((s) => `${s.name}Body`)
      .join(' | ')}`,
  )
  out.push(`export type Fact = ${facts.map((l) => `${pascal(l.stream)}Event`).join(' | ')}`)
  out.push(`export type FactBody = ${facts.flatMap((l) => l.schemas.map((s) => `${s.name}Body`)).join(' | ')}`)
  out.push(`export type FactType = Fact['type']`, `export type RequestType = Request['type']`, '')
  const ofNoJob = facts.flatMap((l) => l.schemas).filter((s) => !s.fields.some((f) => f.name === 'jobId'))
  const types = ofNoJob.map((s) => `  '${s.name}',`)
  out.push(
    [
      '/** Types of facts that are about no job. */',
      'export const factTypesOfNoJob = [',
      ...types,
      '] as const',
      '',
    ].join('\n'),
  )
  out.push('/** Stream of every event. */', 'export const streamOf = {')
  for (const { stream, schemas } of loaded) for (const s of schemas) out.push(`  ${s.name}: '${stream}',`)
  out.push('} as const', '')
  return out.join('\n')
}

type Loaded = { stream: string; schemas: EventSchema[] }
const schemasOf = (all: Loaded[], stream: string): EventSchema[] => all.find((l) => l.stream === stream)?.schemas ?? []
const firstOf = (all: Loaded[], stream: string): EventSchema => {
  const schema = schemasOf(all, stream)[0]
  if (!schema) throw new Error(`no schema in ${stream}`)
  return schema
}
const pascal = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)

function load(stream: string): EventSchema[] {
  return readdirSync(join(root, stream))
    .filter((file) => file.endsWith('.avsc'))
    .sort()
    .map((file) => parseEventSchema(readFileSync(join(root, stream, file), 'utf8')))
}

function header(name: string, doc: string, sample: EventSchema, names: string[]): string {
  const types = new Map<string, string>()
  const fields = sample.fields.filter((f) => names.includes(f.name)).map((f) => field(f, sample.name, types))
  return `/** ${doc} */\nexport type ${name} = {\n${fields.join('\n')}\n}\n`
}

function eventTypes(stream: string, schema: EventSchema): string {
  const names = stream === 'intake' ? headerNames.request : headerNames.fact
  const types = new Map<string, string>()
  const body = schema.fields.filter((f) => !names.includes(f.name)).map((f) => field(f, schema.name, types))
  const missing = names.filter((n) => !schema.fields.some((f) => f.name === n))
  if (missing.length > 0) throw new Error(`${stream}/${schema.name}: header fields missing: ${missing.join(', ')}`)
  const head = stream === 'intake' ? 'RequestHeader' : 'FactHeader'
  return [
    ...[...types.values()],
    `/** ${schema.doc} */`,
    `export type ${schema.name}Body = {\n  type: '${schema.name}'\n${body.join('\n')}\n}`,
    `export type ${schema.name} = ${head} & ${schema.name}Body\n`,
  ].join('\n')
}

function field(f: AvroField, owner: string, types: Map<string, string>): string {
  return `  /** ${f.doc} */\n  ${f.name}: ${tsType(f.type, owner, types)}`
}

/** long and decimal are bigint, int is number; nested records and enums become `<Event><Name>` types. */
function tsType(avro: AvroSchema, owner: string, types: Map<string, string>): string {
  if (Array.isArray(avro))
    return avro
      .map((a) => tsType(a, owner, types))
      .sort((a, b) => Number(a === 'null') - Number(b === 'null'))
      .join(' | ')
  if (typeof avro === 'string') {
    const plain: Record<string, string> = {
      string: 'string',
      long: 'bigint',
      int: 'number',
      boolean: 'boolean',
      null: 'null',
      double: 'number',
    }
    const found = plain[avro] ?? (types.has(`${owner}${avro}`) ? `${owner}${avro}` : undefined)
    if (!found) throw new Error(`${owner}: no TypeScript type for ${avro}`)
    return found
  }
  if ('logicalType' in avro) return 'bigint'
  if (avro.type === 'array') return `${parens(tsType(avro.items, owner, types))}[]`
  const name = `${owner}${avro.name}`
  if (avro.type === 'enum') types.set(name, `export type ${name} = ${avro.symbols.map((s) => `'${s}'`).join(' | ')}`)
  if (avro.type === 'record') {
    types.set(name, '')
    const fields = avro.fields.map((f) => field(f, owner, types))
    types.delete(name) // nested types are written before the record that uses them
    types.set(name, `${avro.doc ? `/** ${avro.doc} */\n` : ''}export type ${name} = {\n${fields.join('\n')}\n}`)
  }
  return name
}
const parens = (type: string): string => (type.includes('|') ? `(${type})` : type)

if (import.meta.main) {
  const text = generate()
  const isCheck = process.argv.includes('--check')
  if (!isCheck) writeFileSync(target, text)
  else if (readFileSync(target, 'utf8') !== text) {
    console.error('schemas/events.generated.ts differs from the schemas: run `npm run gen` and commit the result.')
    process.exitCode = 1
  }
}
