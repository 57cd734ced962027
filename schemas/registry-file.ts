/**
 * The schema registry of the embedded profile: one JSON file beside the data. It keeps every version of every event
 * that was ever written here, so that records stay readable when this build's schemas have moved on.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseEventSchema, schemaIdOf, subjectOf } from './avro-schema.ts'
import type { EventName, SchemaRegistry } from './codec.ts'
import { reasonsAgainst } from './compatibility.ts'
import { streamOf } from './events.generated.ts'

/** One version of one event; `schema` is Avro JSON text as it was first registered. */
export type SchemaVersion = { name: EventName; version: number; id: number; schema: string }

/** A schema that may not follow what is registered, or a registry file that cannot be believed. */
export class SchemaRegistryError extends Error {
  readonly code: 'SCHEMA_INCOMPATIBLE' | 'REGISTRY_DAMAGED'
  readonly facts: { subject: string; reasons: readonly string[] }
  constructor(code: SchemaRegistryError['code'], facts: SchemaRegistryError['facts'], options?: ErrorOptions) {
    super(`${code}: ${facts.subject}: ${facts.reasons.join('; ')}`, options)
    this.name = 'SchemaRegistryError'
    this.code = code
    this.facts = facts
  }
}

/**
 * Opens the registry at `path`, makes it when there is none, and registers what is new. A schema that differs only in
 * its docs is not new. `everyVersion`: versions earlier builds may have written, oldest first, for a file that was lost.
 *
 * Throws SCHEMA_INCOMPATIBLE, and registers nothing, when a schema may not follow the registered ones; REGISTRY_DAMAGED
 * when the file is not what this function wrote. Two processes that open it at once write the same ids, because ids are
 * derived from the schemas. The directory must exist.
 */
export function schemaRegistryFile(
  path: string,
  ownSchemas: ReadonlyMap<EventName, string>,
  everyVersion: readonly { name: EventName; schema: string }[] = [],
): SchemaRegistry {
  const known = existsSync(path) ? readVersions(path) : []
  const byId = new Map(known.map((entry) => [entry.id, entry]))
  let isChanged = false

  for (const { name, schema } of [...everyVersion, ...asList(ownSchemas)]) {
    const id = schemaIdOf(schema)
    const same = byId.get(id)
    if (same?.name === name) continue
    const earlier = [...byId.values()].filter((entry) => entry.name === name)
    const reasons = same
      ? [`its id is taken by ${same.name}`]
      : reasonsAgainst(
          schema,
          earlier.map((entry) => entry.schema),
        )
    if (reasons.length > 0)
      throw new SchemaRegistryError('SCHEMA_INCOMPATIBLE', { subject: subject(name, schema), reasons })
    byId.set(id, { name, version: earlier.length + 1, id, schema })
    isChanged = true
  }
  if (isChanged) writeVersions(path, [...byId.values()])

  const idByName = new Map(asList(ownSchemas).map(({ name, schema }) => [name, schemaIdOf(schema)]))
  return {
    idOf(name) {
      const id = idByName.get(name)
      if (id === undefined)
        throw new SchemaRegistryError('REGISTRY_DAMAGED', { subject: name, reasons: ['it was never registered'] })
      return id
    },
    schemaOf: (id) => byId.get(id),
  }
}

const asList = (schemas: ReadonlyMap<EventName, string>) => [...schemas].map(([name, schema]) => ({ name, schema }))
const subject = (name: EventName, schema: string): string => subjectOf(streamOf[name], parseEventSchema(schema))

const format = 1

/** The file: subjects in order of name, versions in order, so that a change reads well beside the earlier file. */
function writeVersions(path: string, versions: readonly SchemaVersion[]): void {
  const subjects: Record<string, { version: number; id: number; schema: string }[]> = {}
  for (const { name, version, id, schema } of [...versions].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version,
  )) {
    const key = subject(name, schema)
    subjects[key] = [...(subjects[key] ?? []), { version, id, schema }]
  }
  const draft = `${path}.${process.pid}.draft`
  writeDurably(draft, `${JSON.stringify({ format, subjects }, null, 2)}\n`)
  renameSync(draft, path) // Readers see the old file or the new one, never half of one.
  const directory = openSync(dirname(path), 'r')
  fsyncSync(directory)
  closeSync(directory)
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600)
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function readVersions(path: string): SchemaVersion[] {
  try {
    return checkedVersions(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SchemaRegistryError('REGISTRY_DAMAGED', { subject: path, reasons: [reason] }, { cause: error })
  }
}

/** The ids are in the bytes of every record, so an entry whose schema no longer gives its id must not be believed. */
function checkedVersions(file: unknown): SchemaVersion[] {
  if (!isObject(file) || file.format !== format || !isObject(file.subjects))
    throw new Error(`not a registry of format ${format}`)
  return Object.entries(file.subjects).flatMap(([key, entries]) => {
    if (!Array.isArray(entries)) throw new Error(`${key} has no versions`)
    return entries.map((entry: unknown, index) => {
      if (!isObject(entry) || typeof entry.schema !== 'string') throw new Error(`${key} has no schema at ${index + 1}`)
      const { name } = parseEventSchema(entry.schema)
      if (!isEventName(name) || subject(name, entry.schema) !== key)
        throw new Error(`${key} holds the schema of ${name}`)
      if (entry.version !== index + 1) throw new Error(`${key} lacks version ${index + 1}`)
      if (entry.id !== schemaIdOf(entry.schema))
        throw new Error(`${key} version ${index + 1} does not have the id of its schema`)
      return { name, version: entry.version, id: entry.id, schema: entry.schema }
    })
  })
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isEventName = (name: string): name is EventName => Object.hasOwn(streamOf, name)
