/**
 * Events to bytes and back, in Confluent's wire format: 0, the writer schema's id as four bytes big-endian, Avro.
 * Avro `long` and `decimal` are bigint, `int` is number, a null branch is null; the event's name is its `type`.
 */
import avro from 'avsc'
import type { Fact, Request, streamOf } from './events.generated.ts'

export type EventName = keyof typeof streamOf
export type EncodedEvent = Request | Fact

/** Knows which id stands for which schema: a registry service, or the local file of the embedded profile. */
export type SchemaRegistry = {
  /** Id this build writes `name` with. */
  idOf(name: EventName): number
  /** The schema registered under `id`, as Avro JSON text; undefined when no such id is known. */
  schemaOf(id: number): { name: EventName; schema: string } | undefined
}

export type Codec = {
  encode(event: EncodedEvent): Buffer
  /** Decodes with the writer's schema, resolved to this build's. Throws for an unknown id or damaged bytes. */
  decode(bytes: Uint8Array): EncodedEvent
  /** What `decode` would make of them, without making it. Throws as it does for an unknown id. */
  typeOf(bytes: Uint8Array): EventName
}

const longMin = -(2n ** 63n)
const longMax = 2n ** 63n - 1n

/** Avro's own bytes of a long (zigzag, seven bits a byte, lowest first), read and written here: avsc unpacks each into a new buffer. */
const longType = avro.types.LongType.__with(
  {
    fromBuffer: longFrom,
    toBuffer: bytesOfLong,
    fromJSON: (json: number | string) => BigInt(json),
    toJSON: (value: bigint) => value.toString(),
    isValid: (value: unknown) => typeof value === 'bigint' && value >= longMin && value <= longMax,
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  },
  true,
)

const longBytesMax = 10

/** What fits a number is faster than bigint; times in microseconds have eight bytes, and 52 bits. */
const isPlainLong = (bytes: Buffer): boolean => bytes.length < 8 || (bytes.length === 8 && (bytes[7] ?? 0) < 0x10)

function longFrom(bytes: Buffer): bigint {
  if (isPlainLong(bytes)) {
    let zigzag = 0
    let worth = 1
    for (const byte of bytes) {
      zigzag += (byte & 0x7f) * worth
      worth *= 0x80
    }
    return BigInt(zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2)
  }
  if (bytes.length > longBytesMax) throw new Error('A long has ten bytes at most.')
  let zigzag = 0n
  for (let at = bytes.length - 1; at >= 0; at--) zigzag = (zigzag << 7n) | BigInt((bytes[at] ?? 0) & 0x7f)
  return BigInt.asIntN(64, (zigzag >> 1n) ^ -(zigzag & 1n))
}

/** Copied by avsc before it asks for the next. */
const longBytes = Buffer.alloc(longBytesMax)
const longOfSize = Array.from({ length: longBytesMax + 1 }, (_, size) => longBytes.subarray(0, size))
const plainLongMax = 2n ** 52n

function bytesOfLong(value: bigint): Buffer {
  let size = 0
  if (value < plainLongMax && value > -plainLongMax) {
    const plain = Number(value)
    let zigzag = plain < 0 ? -plain * 2 - 1 : plain * 2
    for (; zigzag >= 0x80; zigzag = Math.floor(zigzag / 0x80)) longBytes[size++] = (zigzag % 0x80) | 0x80
    longBytes[size++] = zigzag
  } else {
    let zigzag = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    for (; zigzag >= 0x80n; zigzag >>= 7n) longBytes[size++] = Number(zigzag & 0x7fn) | 0x80
    longBytes[size++] = Number(zigzag)
  }
  return longOfSize[size] ?? longBytes
}

/** Integers of so many bytes fit a number, which is faster than text. */
const plainBytesMax = 6
const plainDecimalMax = 2n ** BigInt(plainBytesMax * 8 - 1) - 1n

/** Avro decimal of scale 0: two's complement, big-endian, shortest form. More digits than its precision are refused. */
class Decimal extends avro.types.LogicalType {
  readonly #most: bigint
  constructor(schema: avro.Schema, options?: Partial<avro.ForSchemaOptions>) {
    super(schema, options)
    const precision = typeof schema === 'object' && 'precision' in schema ? schema.precision : undefined
    if (typeof precision !== 'number') throw new Error('A decimal needs a precision.')
    this.#most = 10n ** BigInt(precision) - 1n
  }
  protected override _fromValue(bytes: Buffer): bigint {
    if (bytes.length === 0) return 0n
    if (bytes.length <= plainBytesMax) return BigInt(bytes.readIntBE(0, bytes.length))
    return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
  }
  protected override _toValue(value: unknown): Buffer | undefined {
    if (typeof value !== 'bigint' || value > this.#most || value < -this.#most) return undefined
    if (value <= plainDecimalMax && value >= -plainDecimalMax) return bytesOfPlain(Number(value))
    const size = byteLength(value)
    return Buffer.from(
      BigInt.asUintN(size * 8, value)
        .toString(16)
        .padStart(size * 2, '0'),
      'hex',
    )
  }
  protected override _resolve(type: avro.Type): ((value: unknown) => unknown) | undefined {
    return type instanceof Decimal ? (value) => value : undefined
  }
}

function bytesOfPlain(value: number): Buffer {
  let size = 1
  for (let most = 0x80; value >= most || value < -most; most *= 0x100) size++
  const bytes = Buffer.allocUnsafe(size)
  bytes.writeIntBE(value, 0, size)
  return bytes
}

function byteLength(value: bigint): number {
  let size = 1
  while (BigInt.asIntN(size * 8, value) !== value) size++
  return size
}

export function avroType(schema: string): avro.Type {
  return avro.Type.forSchema(JSON.parse(schema) as avro.Schema, {
    logicalTypes: { decimal: Decimal },
    omitRecordMethods: true,
    // A hook, not the registry: avsc looks a name up there only when it stands alone, not under `logicalType`.
    typeHook: (part: unknown) => (isLong(part) ? longType : undefined),
  })
}

const isLong = (part: unknown): boolean =>
  part === 'long' || (typeof part === 'object' && part !== null && 'type' in part && part.type === 'long')

/** What can be wrong with bytes: they name a schema nobody knows, or they are not what that schema describes. */
export class CodecError extends Error {
  readonly code: 'SCHEMA_UNKNOWN' | 'RECORD_DAMAGED'
  constructor(code: CodecError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CodecError'
    this.code = code
  }
}

const wireHeaderBytes = 5

/** The writer schema's id of a record; undefined when it does not start with one. */
export function writerIdOf(record: Uint8Array): number | undefined {
  if (record.byteLength < wireHeaderBytes || record[0] !== 0) return undefined
  let id = 0 // Byte by byte: each fact is asked for it twice, and to make a Buffer of it takes ten times as long.
  for (let at = 1; at < wireHeaderBytes; at++) id = id * 0x100 + (record[at] ?? 0)
  return id
}

/** Few records are longer; for one that is, there is more room from then on. */
const scratchBytesMin = 65_536

const bufferOn = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** `ownSchemas`: this build's schema text by event name. Types are built once, at first use. */
export function codecFor(registry: SchemaRegistry, ownSchemas: ReadonlyMap<EventName, string>): Codec {
  const writers = new Map<EventName, { id: number; type: avro.Type }>()
  let scratch = Buffer.allocUnsafeSlow(scratchBytesMin)
  const readers = new Map<number, { name: EventName; read: (record: Buffer) => { type?: EventName } }>()

  function ownType(name: EventName): avro.Type {
    const schema = ownSchemas.get(name)
    if (schema === undefined) throw new CodecError('SCHEMA_UNKNOWN', `This build has no schema for ${name}.`)
    return avroType(schema)
  }

  function writer(name: EventName) {
    const known = writers.get(name)
    if (known) return known
    const made = { id: registry.idOf(name), type: ownType(name) }
    writers.set(name, made)
    return made
  }

  function reader(id: number) {
    const known = readers.get(id)
    if (known) return known
    const found = registry.schemaOf(id)
    if (!found) throw new CodecError('SCHEMA_UNKNOWN', `No schema is registered under id ${id}.`)
    const own = ownType(found.name)
    const resolver =
      found.schema === ownSchemas.get(found.name) ? undefined : own.createResolver(avroType(found.schema))
    const read = (record: Buffer): { type?: EventName } => {
      const { value, offset } = own.decode(record, wireHeaderBytes, resolver)
      if (offset !== record.length)
        throw new Error(offset < 0 ? 'The record is cut off.' : 'There is something after it.')
      return value
    }
    const made = { name: found.name, read }
    readers.set(id, made)
    return made
  }

  function readerOf(record: Uint8Array) {
    const id = writerIdOf(record)
    if (id === undefined) throw new CodecError('RECORD_DAMAGED', 'The record does not start with a schema id.')
    return reader(id)
  }

  /** Into the scratch, behind the header; the end of it. */
  function encodeBody(type: avro.Type, event: EncodedEvent): number {
    const end = type.encode(event, scratch, wireHeaderBytes)
    if (end >= 0) return end
    scratch = Buffer.allocUnsafeSlow(2 * (scratch.length - end)) // It tells what is missing as a negative number.
    return type.encode(event, scratch, wireHeaderBytes)
  }

  return {
    encode(event) {
      const { id, type } = writer(event.type)
      const end = encodeBody(type, event)
      // avsc's own buffer for each record is zeroed first, and copied into one with a header: half as long again.
      const record = Buffer.allocUnsafe(end)
      scratch.copy(record, 0, 0, end)
      record.writeUInt8(0, 0)
      record.writeUInt32BE(id, 1)
      return record
    },
    typeOf: (bytes) => readerOf(bytes).name,
    decode(bytes) {
      const buffer = bufferOn(bytes)
      const { name, read } = readerOf(buffer)
      try {
        const event = read(buffer)
        event.type = name // Into what was read: a copy costs a sixth of the decoding.
        return event as EncodedEvent
      } catch (error) {
        throw new CodecError('RECORD_DAMAGED', `The record is not a ${name}.`, { cause: error })
      }
    },
  }
}
