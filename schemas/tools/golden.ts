/**
 * The golden corpus: for every version of every event ever, its schema and encoded records at the edges of what it
 * allows, which every later build must still read. `npm run golden` adds a version for each schema that has changed
 * and never touches an older one; with `--check` it writes nothing and fails when a version is missing or damaged.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEventSchema, schemaIdOf } from '../avro-schema.ts'
import { codecFor, type EncodedEvent, type EventName } from '../codec.ts'
import { reasonsAgainst } from '../compatibility.ts'
import { readOwnSchemas } from '../own-schemas.ts'
import { sampleRecords } from './sample-records.ts'

/** `wire`: the record in wire format, base64. `event`: what it says, with bigint as text ending in n. */
export type GoldenRecord = { what: string; wire: string; event: Record<string, unknown> }
export type GoldenVersion = { name: EventName; version: number; schema: string; records: GoldenRecord[] }

export const goldenDirectory = join(import.meta.dirname, '../golden')

/** bigint has no JSON of its own. */
export const plainJson = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)))

/** Versions of one event, oldest first. */
export function goldenVersions(name: EventName, root: string = goldenDirectory): GoldenVersion[] {
  const directory = join(root, name)
  if (!existsSync(directory)) return []
  const count = readdirSync(directory).filter((file) => file.endsWith('.avsc')).length
  return Array.from({ length: count }, (_, index) => {
    const version = index + 1
    const records = JSON.parse(readFileSync(join(directory, `v${version}.json`), 'utf8')) as GoldenRecord[]
    return { name, version, schema: readFileSync(join(directory, `v${version}.avsc`), 'utf8'), records }
  })
}

/** Every record of this version of an event, encoded by this build. */
function goldenRecords(name: EventName, schema: string): GoldenRecord[] {
  const codec = codecOf(name, schema)
  return sampleRecords(parseEventSchema(schema)).map(({ what, value }) => {
    const event = { type: name, ...value }
    return {
      what,
      wire: codec.encode(event as EncodedEvent).toString('base64'),
      event: plainJson(event) as Record<string, unknown>,
    }
  })
}

const codecOf = (name: EventName, schema: string) =>
  codecFor({ idOf: () => schemaIdOf(schema), schemaOf: () => ({ name, schema }) }, new Map([[name, schema]]))

/** What speaks against the corpus as it stands; empty when it holds every version and none was changed. */
export function complaints(own: ReadonlyMap<EventName, string>, root: string = goldenDirectory): string[] {
  return [...own].flatMap(([name, schema]) => {
    const versions = goldenVersions(name, root)
    const last = versions.at(-1)
    const found = versions.flatMap((golden) => damage(golden).map((reason) => `${name} v${golden.version}: ${reason}`))
    if (!last || schemaIdOf(last.schema) !== schemaIdOf(schema)) {
      const reasons = reasonsAgainst(
        schema,
        versions.map((golden) => golden.schema),
      )
      found.push(...reasons.map((reason) => `${name}: ${reason}`))
      if (reasons.length === 0)
        found.push(`${name}: version ${versions.length + 1} is missing; run \`npm run golden\` and commit the result`)
    }
    return found
  })
}

/** A version is as it was written when its records name its schema and still say, byte for byte, what stands beside them. */
function damage({ name, schema, records }: GoldenVersion): string[] {
  const codec = codecOf(name, schema)
  if (records.length === 0) return ['it has no records']
  return records.flatMap(({ what, wire, event }) => {
    const bytes = Buffer.from(wire, 'base64')
    if (bytes.readUInt32BE(1) !== schemaIdOf(schema)) return [`'${what}' was written with another schema`]
    const said = codec.decode(bytes)
    const { type, ...fields } = said
    if (JSON.stringify(plainJson({ type, ...fields })) !== JSON.stringify(event))
      return [`'${what}' no longer says what it said`]
    return codec.encode(said).equals(bytes) ? [] : [`'${what}' is written differently now`]
  })
}

/** Adds what is missing and names it. Throws, and adds nothing, when a schema may not follow its earlier versions. */
export function addVersions(own: ReadonlyMap<EventName, string>, root: string = goldenDirectory): string[] {
  const missing = [...own].flatMap(([name, schema]) => {
    const versions = goldenVersions(name, root)
    const last = versions.at(-1)
    if (last && schemaIdOf(last.schema) === schemaIdOf(schema)) return []
    const reasons = reasonsAgainst(
      schema,
      versions.map((golden) => golden.schema),
    )
    if (reasons.length > 0) throw new Error(`${name}: ${reasons.join('; ')}`)
    return [{ name, schema, version: versions.length + 1 }]
  })
  for (const { name, schema, version } of missing) {
    const records = goldenRecords(name, schema)
    mkdirSync(join(root, name), { recursive: true })
    writeFileSync(join(root, name, `v${version}.avsc`), schema, { flag: 'wx' }) // wx: fails rather than write over one.
    writeFileSync(join(root, name, `v${version}.json`), `${JSON.stringify(records, null, 2)}\n`, { flag: 'wx' })
  }
  return missing.map(({ name, version }) => `${name} v${version}`)
}

if (import.meta.main) {
  const own = readOwnSchemas()
  if (process.argv.includes('--check')) {
    const found = complaints(own)
    for (const complaint of found) console.error(complaint)
    if (found.length > 0) process.exitCode = 1
    else console.log('Every version of every event is in the golden corpus and follows the ones before it.')
  } else {
    const added = addVersions(own)
    console.log(added.length > 0 ? `Added ${added.join(', ')}.` : 'Nothing to add.')
  }
}
