/** Reads an export: a manifest and Avro object container files, merged into the one order of a partition. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import avro from 'avsc'
import { type Event, isLookedInto } from './events.ts'

export type ExportedFile = { path: string; stream: string; event: string; partition: number; records: number }
export type Manifest = { partitions: number; files: ExportedFile[] }

const partitionsMax = 10_000
const filesMax = 1_000_000

/** Throws an Error that says what is wrong with a manifest that is not one. */
export async function readManifest(dir: string): Promise<Manifest> {
  const manifest: unknown = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'))
  if (!isRecord(manifest)) throw new Error('manifest.json is not an object')
  const partitions = wholeNumber(manifest['partitions'], 'partitions', partitionsMax)
  const files = manifest['files']
  if (!Array.isArray(files) || files.length > filesMax) throw new Error('manifest.json: files is not a list')
  return { partitions, files: files.map((file: unknown, index) => readFileEntry(file, index, partitions)) }
}

function readFileEntry(file: unknown, index: number, partitions: number): ExportedFile {
  const at = `files[${index}]`
  if (!isRecord(file)) throw new Error(`manifest.json: ${at} is not an object`)
  const { path, stream, event } = file
  if (typeof path !== 'string' || typeof stream !== 'string' || typeof event !== 'string') {
    throw new Error(`manifest.json: ${at} lacks path, stream or event`)
  }
  if (normalize(path) !== path || path.startsWith('/') || path.startsWith('..')) {
    throw new Error(`manifest.json: ${at} leads out of the export`)
  }
  const partition = wholeNumber(file['partition'], `${at}.partition`, partitions - 1)
  const records = wholeNumber(file['records'], `${at}.records`, Number.MAX_SAFE_INTEGER)
  return { path, stream, event, partition, records }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function wholeNumber(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new Error(`manifest.json: ${name} is not a whole number from 0 to ${max}`)
  }
  return value
}

/** Events of the files, by `seq`. Holds one record of every file. Throws for a file that cannot be read. */
export async function* inOrder(
  dir: string,
  files: readonly ExportedFile[],
  complain: (says: string) => void,
): AsyncGenerator<Event> {
  const heads: { next: Event; rest: AsyncIterator<Event> }[] = []
  for (const file of files) {
    const rest = eventsOf(dir, file, complain)
    const first = await rest.next()
    if (!first.done) heads.push({ next: first.value, rest })
  }
  while (heads.length > 0) {
    const least = heads.reduce((a, b) => (b.next.seq < a.next.seq ? b : a))
    yield least.next
    const following = await least.rest.next()
    if (following.done) heads.splice(heads.indexOf(least), 1)
    else least.next = following.value
  }
}

async function* eventsOf(dir: string, file: ExportedFile, complain: (says: string) => void): AsyncGenerator<Event> {
  let schemaName = ''
  const decoder = new avro.streams.BlockDecoder({
    parseHook: (schema) => {
      const type = typeOf(schema)
      schemaName = (type.name ?? '').split('.').at(-1) ?? ''
      return type
    },
  })
  // Not avro.createFileDecoder, which lets the file's own errors pass unseen.
  const source = createReadStream(join(dir, file.path))
  source.on('error', (error) => decoder.destroy(error)).pipe(decoder)
  let records = 0
  for await (const record of decoder) {
    if (records === 0 && schemaName !== file.event) complain(`${file.path} holds ${schemaName}, not ${file.event}`)
    records++
    // The file carries its schema, and the events' shapes here are written from the same schemas.
    yield { ...record, type: isLookedInto(file.event) ? file.event : 'Other' } as Event
  }
  if (records !== file.records) complain(`${file.path} holds ${records} records, the manifest says ${file.records}`)
}

// A file per event and partition has the same few schemas over and over, and a type costs more than a small file.
const types = new Map<string, avro.Type>()
const typesMax = 1_000

function typeOf(schema: avro.Schema): avro.Type {
  const text = JSON.stringify(schema)
  const known = types.get(text)
  if (known) return known
  const type = avro.Type.forSchema(schema, {
    typeHook: (part: unknown) => (isLong(part) ? longType : undefined),
    logicalTypes: { decimal: Decimal },
  })
  if (types.size >= typesMax) types.clear()
  types.set(text, type)
  return type
}

const isLong = (part: unknown): boolean => part === 'long' || (isRecord(part) && part['type'] === 'long')

// avsc reads a long as a number unless told otherwise: beyond 2⁵³ that is not the number that was written.
const longType = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer(value: bigint) {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => Number(a > b) - Number(a < b),
})

/** Decimal of scale 0: big-endian two's complement, read byte by byte. */
class Decimal extends avro.types.LogicalType {
  protected override _fromValue(bytes: Uint8Array): bigint {
    let value = 0n
    for (const byte of bytes) value = value * 256n + BigInt(byte)
    const isNegative = (bytes[0] ?? 0) > 127
    return isNegative ? value - 256n ** BigInt(bytes.length) : value
  }
}
