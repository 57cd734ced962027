import avro from 'avsc'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { schemaIdOf } from './avro-schema.ts'
import { avroType, CodecError, codecFor, type EncodedEvent, type EventName, type SchemaRegistry } from './codec.ts'
import { eventNames, readOwnSchemas } from './own-schemas.ts'
import { arbitraryEvent } from './testing/arbitrary-event.ts'

const own = readOwnSchemas()
const textOf = (name: EventName): string => own.get(name) ?? ''
const byId = new Map([...own].map(([name, schema]) => [schemaIdOf(schema), { name, schema }]))
const registry: SchemaRegistry = { idOf: (name) => schemaIdOf(textOf(name)), schemaOf: (id) => byId.get(id) }
const codec = codecFor(registry, own)

const rated: EncodedEvent = {
  type: 'JobRated',
  tenantId: 'client-1',
  eventId: 'evt_1',
  seq: 7n,
  occurredAt: 1_767_225_600_000_000n,
  actor: 'owner',
  correlationId: 'c-1',
  causedBy: 'att_1',
  intakeOffset: null,
  traceparent: null,
  jobId: 'job_1',
  memberId: null,
  capability: 'classify.category',
  outcome: 'succeeded',
  attempts: 1,
  currency: 'USD',
  priceBookHash: 'ab12',
  billingPeriod: '2026-01',
  admittedAt: 1_767_225_599_000_000n,
  usageEventId: 'evt_0',
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  chargedPico: 200_000_000n,
  providerCostPico: null,
  lines: [{ lineId: 'line_1', kind: 'request', quantity: 1n, pricePico: 200_000_000n, amountPico: 200_000_000n }],
  heldPico: 300_000_000n,
  settlements: [],
}

test.for(eventNames)('%s comes back as it was, whatever it holds', (name) => {
  fc.assert(
    fc.property(arbitraryEvent(name, textOf(name)), (event) => {
      const bytes = codec.encode(event)
      expect({ ...codec.decode(bytes) }).toEqual(event)
      expect(codec.typeOf(bytes)).toBe(name)
    }),
    { numRuns: 60 },
  )
})

const someLongs = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc
    .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: -2, max: 2 }), fc.boolean())
    .map(([bit, by, isNegative]) => {
      const edge = BigInt.asIntN(64, 2n ** BigInt(bit) + BigInt(by))
      return isNegative ? BigInt.asIntN(64, -edge) : edge
    }),
)

test('a long has the bytes that Avro gives it, and comes back from them', () => {
  const plain = avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(value)
      return bytes
    },
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: () => 0,
  })
  const ours = avroType('"long"')
  fc.assert(
    fc.property(someLongs, (value) => {
      const bytes = ours.toBuffer(value)
      expect(bytes).toEqual(plain.toBuffer(value))
      expect(ours.fromBuffer(bytes)).toBe(value)
    }),
    { numRuns: 2_000 },
  )
})

test('a long of eleven bytes is damaged', () => {
  expect(() => avroType('"long"').fromBuffer(Buffer.from([...Array(10).fill(0xff), 0x01]))).toThrow()
})

test('a record starts with 0 and the id of its schema, big-endian', () => {
  const bytes = codec.encode(rated)
  expect(bytes[0]).toBe(0)
  expect(bytes.readUInt32BE(1)).toBe(registry.idOf('JobRated'))
})

test('the same event always has the same bytes', () => {
  fc.assert(
    fc.property(arbitraryEvent('JobAdmitted', textOf('JobAdmitted')), (event) => {
      expect(codec.encode(event).equals(codec.encode(structuredClone(event)))).toBe(true)
    }),
  )
})

test('bytes in the middle of a larger buffer are read where they stand', () => {
  const bytes = codec.encode(rated)
  const larger = new Uint8Array(bytes.length + 20)
  larger.set(bytes, 10)
  expect(codec.decode(larger.subarray(10, 10 + bytes.length))).toEqual(rated)
})

test('a record may be as long as it likes, and is its own whatever is encoded after it', () => {
  const fresh = codecFor(registry, own)
  const short = fresh.encode(rated)
  const before = Buffer.from(short)
  const textOfBytes = (bytes: number) => 'ü'.repeat(bytes / 2)
  // Around 64 KiB, where the room for one ends at first, and far beyond it.
  for (const bytes of [64_000, ...Array.from({ length: 400 }, (_, n) => 64_900 + 2 * n), 300_000, 20, 1_000_000]) {
    const event = { ...rated, priceBookHash: textOfBytes(bytes) }
    const record = fresh.encode(event)
    expect(record.length).toBe(
      before.length + bytes - rated.priceBookHash.length + (bytes < 64 ? 0 : bytes < 8_192 ? 1 : 2),
    )
    expect(fresh.decode(record)).toEqual(event)
    expect(fresh.encode(rated).equals(before)).toBe(true)
  }
  expect(short.equals(before)).toBe(true)
})

/** What a reader without our types makes of it: decimals are bytes, longs are numbers. */
test('it is ordinary Avro: a reader that knows nothing of ours reads the same', () => {
  const plain = avro.Type.forSchema(JSON.parse(textOf('JobRated')) as avro.Schema)
  const read = plain.fromBuffer(codec.encode(rated).subarray(5)) as Record<string, unknown>
  expect(read.seq).toBe(7)
  expect(read.occurredAt).toBe(1_767_225_600_000_000)
  expect(read.chargedPico).toEqual(Buffer.from('0bebc200', 'hex')) // 200,000,000 in two's complement, big-endian
  expect(read.intakeOffset).toBeNull()
  expect(read.outcome).toBe('succeeded')
  expect(read.lines).toMatchObject([{ kind: 'request', quantity: 1 }])
  expect(codec.decode(Buffer.concat([codec.encode(rated).subarray(0, 5), plain.toBuffer(read)]))).toEqual(rated)
})

test('an Avro library of its own writes what we read', () => {
  const plain = avro.Type.forSchema(JSON.parse(textOf('CapRemoved')) as avro.Schema)
  const value = {
    tenantId: 't',
    eventId: 'e',
    seq: 1,
    occurredAt: 2,
    actor: 'owner',
    correlationId: 'c',
    causedBy: 'r',
    intakeOffset: null,
    traceparent: '00-1',
    capId: 'cap',
    version: 3,
  }
  const header = Buffer.alloc(5)
  header.writeUInt32BE(registry.idOf('CapRemoved'), 1)
  expect(codec.decode(Buffer.concat([header, plain.toBuffer(value)]))).toEqual({
    type: 'CapRemoved',
    ...value,
    seq: 1n,
    occurredAt: 2n,
    version: 3n,
  })
})

test.for<[value: bigint, hex: string]>([
  [0n, '00'],
  [1n, '01'],
  [127n, '7f'],
  [128n, '0080'],
  [-1n, 'ff'],
  [-128n, '80'],
  [-129n, 'ff7f'],
  [32_767n, '7fff'],
  [32_768n, '008000'],
  [-32_768n, '8000'],
  [-32_769n, 'ff7fff'],
  [2n ** 47n - 1n, '7fffffffffff'],
  [2n ** 47n, '00800000000000'],
  [-(2n ** 47n), '800000000000'],
  [-(2n ** 47n) - 1n, 'ff7fffffffffff'],
  [10n ** 38n - 1n, '4b3b4ca85a86c47a098a223fffffffff'],
  [1n - 10n ** 38n, 'b4c4b357a5793b85f675ddc000000001'],
])("a decimal of %s is the shortest two's complement", ([value, hex]) => {
  const plain = avro.Type.forSchema(JSON.parse(textOf('HoldExceeded')) as avro.Schema)
  const event: EncodedEvent = {
    type: 'HoldExceeded',
    tenantId: 't',
    eventId: 'e',
    seq: 1n,
    occurredAt: 2n,
    actor: 'owner',
    correlationId: 'c',
    causedBy: 'r',
    intakeOffset: null,
    traceparent: null,
    jobId: 'j',
    metric: 'money',
    held: 0n,
    actual: 0n,
    excess: value,
  }
  const read = plain.fromBuffer(codec.encode(event).subarray(5)) as { excess: Buffer }
  expect(read.excess.toString('hex')).toBe(hex)
})

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return error instanceof CodecError ? error.code : String(error)
  }
  return 'no error'
}

test('damaged bytes are refused, never half read', () => {
  const bytes = codec.encode(rated)
  for (let length = 0; length < bytes.length; length++) {
    expect(codeOf(() => codec.decode(bytes.subarray(0, length)))).toBe('RECORD_DAMAGED')
  }
  expect(codeOf(() => codec.decode(Buffer.concat([bytes, Buffer.from([0])])))).toBe('RECORD_DAMAGED')
  expect(codeOf(() => codec.decode(Buffer.concat([Buffer.from([1]), bytes.subarray(1)])))).toBe('RECORD_DAMAGED')
})

test('whatever the bytes, the answer is an event or one of two errors', () => {
  const bytes = codec.encode(rated)
  fc.assert(
    fc.property(fc.integer({ min: 5, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const changed = Buffer.from(bytes)
      changed[at] = byte
      expect(['no error', 'RECORD_DAMAGED']).toContain(codeOf(() => codec.decode(changed)))
    }),
    { numRuns: 2_000 },
  )
})

test('an id nobody registered is unknown, not damage', () => {
  const bytes = codec.encode(rated)
  bytes.writeUInt32BE(1, 1)
  expect(codeOf(() => codec.decode(bytes))).toBe('SCHEMA_UNKNOWN')
  expect(codeOf(() => codec.typeOf(bytes))).toBe('SCHEMA_UNKNOWN')
})

test.for<[what: string, change: object]>([
  ['a number for a long', { seq: 7 }],
  ['a long past 64 bits', { seq: 2n ** 63n }],
  ['a text for money', { chargedPico: '1.5' }],
  ['a number for money', { chargedPico: 1.5 }],
  ['money past its precision', { chargedPico: 10n ** 38n }],
  ['a missing field', { jobId: undefined }],
  ['null where nothing may be missing', { jobId: null }],
  ['a symbol that is not one', { outcome: 'finished' }],
])('%s is not written', ([, change]) => {
  expect(() => codec.encode({ ...rated, ...change })).toThrow()
})
