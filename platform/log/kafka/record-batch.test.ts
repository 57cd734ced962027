/** What is encoded here is what kafkajs encodes, byte for byte, and so what brokers have been given all along. */
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c, encodeProduce, type ProduceBody } from './record-batch.ts'

type Encode = { encode(): Promise<{ buffer: Buffer }> }
const fromHere = createRequire(import.meta.url)
const request: (request: object) => Encode = fromHere('kafkajs/src/protocol/requests/produce/v3/request')
const latestRequest: (request: object) => Encode = fromHere('kafkajs/src/protocol/requests/produce/v7/request')
const checksum: (bytes: Buffer) => number = fromHere('kafkajs/src/protocol/recordBatch/crc32C')

async function asKafkajs({ timeoutMs, nowMs, batches, ...producer }: ProduceBody, version = request): Promise<Buffer> {
  const topicData = batches.map(({ topic, partition, firstSequence, records }) => ({
    topic,
    partitions: [{ partition, firstSequence, messages: records.map((record) => ({ ...record, timestamp: nowMs })) }],
  }))
  return (await version({ ...producer, acks: -1, timeout: timeoutMs, topicData }).encode()).buffer
}

const producer = {
  transactionalId: 'bench.owner-3',
  producerId: '9223372036854775807',
  producerEpoch: 32_767,
  timeoutMs: 7_000,
  nowMs: 1_794_312_000_123,
}
const recordOf = (bytes: number, headers: Record<string, string> = {}) => ({
  key: 'harbor',
  value: Buffer.alloc(bytes, 7),
  headers,
})

const text = fc.string({ unit: 'binary', maxLength: 70 })
const record = fc.record({
  key: text,
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  headers: fc.dictionary(text, text, { maxKeys: 4 }),
})
const body = fc.record({
  transactionalId: fc.string({ minLength: 1, maxLength: 40 }),
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
  producerEpoch: fc.nat({ max: 32_767 }),
  timeoutMs: fc.nat(),
  nowMs: fc.integer({ min: 1, max: 2 ** 50 }),
  batches: fc.array(
    fc.record({
      topic: fc.string({ minLength: 1, maxLength: 20 }),
      partition: fc.nat(),
      firstSequence: fc.nat(),
      records: fc.array(record, { minLength: 1, maxLength: 80 }),
    }),
    { maxLength: 4 },
  ),
})

test('any request is the bytes that kafkajs makes of it', async () => {
  await fc.assert(
    fc.asyncProperty(body, async (given) => {
      expect(encodeProduce(given).equals(await asKafkajs(given))).toBe(true)
    }),
    { numRuns: 300 },
  )
}, 60_000)

test.each([0, 1, 63, 64, 65, 8_191, 8_192, 1_048_575, 1_048_576])('a value of %i bytes', async (bytes) => {
  const given = { ...producer, batches: [{ topic: 't', partition: 0, firstSequence: 0, records: [recordOf(bytes)] }] }
  expect(encodeProduce(given).equals(await asKafkajs(given))).toBe(true)
})

test.each([63, 64, 65, 8_191, 8_192, 8_193])('%i records', async (count) => {
  const records = Array.from({ length: count }, (_, n) => recordOf(n % 3, { seq: String(n), name: 'Zoë' }))
  const batches = [{ topic: 'jobs', partition: 5, firstSequence: 2 ** 31 - 1, records }]
  const given = { ...producer, batches }
  expect(encodeProduce(given).equals(await asKafkajs(given))).toBe(true)
})

test('texts of 47, 48 and 49 characters, of ASCII and not', async () => {
  const records = [47, 48, 49].flatMap((length) =>
    ['x', 'é', '€', '😀', '\0', '\x7f', '\x80'].map((character) => ({
      ...recordOf(1, { [character.repeat(length)]: `${'y'.repeat(length - 1)}${character}` }),
      key: `${character}${'k'.repeat(length - 1)}`,
    })),
  )
  const given = { ...producer, batches: [{ topic: 'jobs', partition: 5, firstSequence: 0, records }] }
  expect(encodeProduce(given).equals(await asKafkajs(given))).toBe(true)
})

test('versions 3 and 7 of the request have the same body', async () => {
  const given = { ...producer, batches: [{ topic: 't', partition: 0, firstSequence: 0, records: [recordOf(9)] }] }
  expect((await asKafkajs(given)).equals(await asKafkajs(given, latestRequest))).toBe(true)
})

test('the checksum is CRC-32C', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa) // RFC 3720, B.4.
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
})

test('the checksum of any bytes, and of any part of them, is the one of kafkajs', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 40 }), (bytes, start) => {
      const from = Math.min(start, bytes.length)
      expect(crc32c(bytes, from)).toBe(checksum(Buffer.from(bytes.subarray(from))))
    }),
    { numRuns: 500 },
  )
})
