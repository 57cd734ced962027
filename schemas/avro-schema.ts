/** Avro schemas as data: their shape as this repository uses it, and the identity of a version. */
import { createHash } from 'node:crypto'

export type AvroField = { name: string; type: AvroSchema; doc?: string; default?: unknown; aliases?: string[] }
export type AvroRecord = {
  type: 'record'
  name: string
  namespace?: string
  doc?: string
  fields: AvroField[]
  aliases?: string[]
}
export type AvroEnum = { type: 'enum'; name: string; doc?: string; symbols: string[]; default?: string }
export type AvroArray = { type: 'array'; items: AvroSchema }
export type AvroLogical = { type: 'bytes' | 'long'; logicalType: string; precision?: number; scale?: number }
/** A name stands for a primitive type, or for a record or enum written out earlier in the same schema. */
export type AvroSchema = string | AvroSchema[] | AvroRecord | AvroEnum | AvroArray | AvroLogical

/** Reads schema text; throws when it is not a named record. Anything subtler is the Avro library's to refuse. */
export function parseEventSchema(text: string): AvroRecord & { namespace: string } {
  const parsed: unknown = JSON.parse(text)
  if (!isEventSchema(parsed)) throw new Error('The schema is not a record with name, namespace and fields.')
  return parsed
}

const isEventSchema = (value: unknown): value is AvroRecord & { namespace: string } =>
  typeof value === 'object' &&
  value !== null &&
  'type' in value &&
  value.type === 'record' &&
  'name' in value &&
  typeof value.name === 'string' &&
  'namespace' in value &&
  typeof value.namespace === 'string' &&
  'fields' in value &&
  Array.isArray(value.fields)

/**
 * Id of a schema version: 31 bits of SHA-256 over the schema without its docs, so that wording can improve without a
 * new version. Derived, not counted: every process gives a version the same id without asking another, and a lost
 * registry file can be made again. Never 0.
 */
export function schemaIdOf(text: string): number {
  const digest = createHash('sha256')
    .update(withoutDocs(JSON.parse(text)))
    .digest()
  return digest.readUInt32BE(0) & 0x7fffffff || 1
}

/** JSON with sorted keys and no docs. */
function withoutDocs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(withoutDocs).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([key]) => key !== 'doc')
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, part]) => `${JSON.stringify(key)}:${withoutDocs(part)}`)
    .join(',')}}`
}

/** Subject by Confluent's TopicRecordNameStrategy: `<stream>-<namespace>.<Event>`. */
export const subjectOf = (stream: string, schema: { namespace: string; name: string }): string =>
  `${stream}-${schema.namespace}.${schema.name}`
