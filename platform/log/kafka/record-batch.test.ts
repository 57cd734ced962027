/** kafkajs' own encoder is the reference: what it makes of the same records must be the same bytes. */
import { createRequire } from 'node:module'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { sequence } from '../../../providers/local/seeded-order.ts'
import type { OutgoingRecord } from './client.ts'
import { crc32c, encodeProduce, type ProduceBody, type SequencedRecords } from './record-batch.ts'

const fromHere = createRequire(import.meta.url)
const crcOfKafkajs: (bytes: Buffer) => number = fromHere('kafkajs/src/protocol/recordBatch/crc32C')
const versions = ['v3', 'v4', 'v5', 'v6', 'v7'] as const
type Version = (typeof versions)[number]

beforeAll(() => vi.useFakeTimers({ toFake: ['Date'] }))
afterAll(() => vi.useRealTimers())

async function byKafkajs(
  { timeoutMs, nowMs, batches, ...producer }: ProduceBody,
  version: Version = 'v7',
): Promise<Buffer> {
  vi.setSystemTime(nowMs) // Which it reads by itself.
  const topicData = batches.map(({ topic, partition, firstSequence, records }) => ({
    topic,
    partitions: [{ partition, firstSequence, messages: records }],
  }))
  const request = fromHere(`kafkajs/src/protocol/requests/produce/${version}/request`)
  const encoded: { buffer: Buffer } = await request({ ...producer, acks: -1, timeout: timeoutMs, topicData }).encode()
  return encoded.buffer
}

const record = (parts: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  key: 'job-000017',
  value: Buffer.from('a fact'),
  headers: { seq: '1234', last: '1240' },
  ...parts,
})

const batch = (records: readonly OutgoingRecord[], parts: Partial<SequencedRecords> = {}): SequencedRecords => ({
  topic: 'pf3.jobs',
  partition: 3,
  firstSequence: 17,
  records,
  ...parts,
})

const body = (batches: readonly SequencedRecords[], parts: Partial<ProduceBody> = {}): ProduceBody => ({
  transactionalId: 'pf3.owner-3',
  producerId: '4711',
  producerEpoch: 2,
  timeoutMs: 7_000,
  nowMs: Date.parse('2026-11-01T12:00:00Z'),
  batches,
  ...parts,
})

/** Compared as a whole: a difference of thousands of bytes is printed by nobody. */
async function expectSame(given: ProduceBody, version?: Version): Promise<void> {
  expect(encodeProduce(given).equals(await byKafkajs(given, version))).toBe(true)
}

test.each(versions)('the body is the one of kafkajs in %s', async (version) => {
  const two = [record(), record({ key: 'job-000018' })]
  await expectSame(body([batch(two), batch(two, { topic: 'pf3.directory', partition: 0 })]), version)
})

/** On both sides of where a length or a difference of offsets takes one byte more. */
const borders = [0, 1, 47, 48, 49, 62, 63, 64, 65, 127, 128, 8_191, 8_192, 8_193]

test.each([...borders, 1_048_575, 1_048_576, 2_000_000])('a value of %i bytes is the same', async (bytes) => {
  await expectSame(body([batch([record({ value: Buffer.alloc(bytes, 7) }), record()])]))
})

test.each(borders)('keys, names and texts of headers of %i characters are the same', async (length) => {
  for (const text of ['x'.repeat(length), 'ü'.repeat(length), `${'x'.repeat(Math.max(0, length - 1))}ü`])
    await expectSame(body([batch([record({ key: text, headers: { [text]: text, last: text } })])]))
})

test.each([...borders.slice(1), 20_000])('%i records of one batch are the same', async (count) => {
  await expectSame(body([batch(Array.from({ length: count }, () => record()))]))
})

test.each([0, 1, 63, 64, 65, 200])('%i headers of one record are the same', async (count) => {
  const headers = Object.fromEntries(Array.from({ length: count }, (_, at) => [`header ${at}`, String(at)]))
  await expectSame(body([batch([record({ headers }), record()])]))
})

/** With what is beside its value a record's own length comes to a border. */
test.each([...borders, 1_048_576])('a record around %i bytes is the same', async (bytes) => {
  for (let less = 20; less <= 40; less++)
    await expectSame(body([batch([record({ value: Buffer.alloc(Math.max(0, bytes - less)) })])]))
})

test('halves of characters, and those of two, three and four bytes, are the same', async () => {
  for (const text of ['Größe', '€', '𝄞', '\ud834', '\udd1e\ud834', '\u0000', '\u007f', '\u0080', 'a\ud834b'])
    await expectSame(body([batch([record({ key: text, headers: { [text]: text } })], { topic: text })]))
})

test('the largest numbers are the same, and a larger one is refused', async () => {
  const largest = { producerId: String(2n ** 63n - 1n), producerEpoch: 2 ** 15 - 1, timeoutMs: 2 ** 31 - 1 }
  const last = { firstSequence: 2 ** 31 - 1, partition: 2 ** 31 - 1 }
  await expectSame(body([batch([record(), record()], last)], { ...largest, nowMs: 2 ** 52 + 1 }))
  await expectSame(body([batch([record()])], { producerId: '-1', producerEpoch: -1, nowMs: 1 }))
  expect(() => encodeProduce(body([batch([record()], { firstSequence: 2 ** 31 })]))).toThrow(RangeError)
})

test('nothing to write is the same', async () => {
  await expectSame(body([]))
  await expectSame(body([batch([])]))
})

test('a value is taken from where it lies, and is not changed', async () => {
  const around = Buffer.from('before|the value|after')
  await expectSame(body([batch([record({ value: around.subarray(7, 16) })])]))
  expect(around.toString()).toBe('before|the value|after')
})

test('four hundred requests of chance are the same', async () => {
  const random = sequence(18)
  const below = (end: number) => Math.floor(random() * end)
  const alphabets = ['abcdefghij0123456789-', 'aäöü€', '𝄞x\ud834', '\u0000\u007f\u0080\u07ff\u0800']
  const text = (lengthMax: number) => {
    const from = [...(alphabets[random() < 0.7 ? 0 : below(alphabets.length)] ?? '')]
    return Array.from({ length: below(lengthMax + 1) }, () => from[below(from.length)]).join('')
  }
  const bytes = (lengthMax: number) => Buffer.from(Array.from({ length: below(lengthMax) }, () => below(256)))
  const headers = () => Object.fromEntries(Array.from({ length: below(5) }, () => [text(12), text(70)]))
  const some = <Thing>(countMax: number, make: (at: number) => Thing): Thing[] =>
    Array.from({ length: below(countMax + 1) }, (_, at) => make(at))
  for (let run = 0; run < 400; run++) {
    const valueBytesMax = random() < 0.05 ? 20_000 : 300
    const records = () =>
      some(random() < 0.1 ? 150 : 8, () => ({ key: text(60), value: bytes(valueBytesMax), headers: headers() }))
    const batches = some(5, (at) => ({
      topic: `${at}${text(40)}`,
      partition: below(2 ** 31),
      firstSequence: random() < 0.5 ? below(1_000) : 2 ** 31 - 1 - below(1_000),
      records: records(),
    }))
    await expectSame({
      transactionalId: `t${text(40)}`,
      producerId: String(BigInt(below(2 ** 31)) * BigInt(below(2 ** 32))),
      producerEpoch: below(2 ** 15),
      timeoutMs: below(2 ** 31),
      nowMs: 1 + below(2 ** 45),
      batches,
    })
  }
})

test('the checksum of the digits is the one that the method is known by', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
})

test('the checksum is the one of kafkajs, for every length and wherever the bytes lie', () => {
  const random = sequence(32)
  const lengths = [...Array.from({ length: 71 }, (_, length) => length), 4_095, 65_536, 300_001]
  for (const length of lengths) {
    const bytes = Buffer.from(Array.from({ length: length + 12 }, () => Math.floor(random() * 256)))
    for (const start of [0, 1, 5, 12])
      expect(crc32c(bytes, start, start + length)).toBe(crcOfKafkajs(bytes.subarray(start, start + length)))
    expect(crc32c(bytes.subarray(3))).toBe(crcOfKafkajs(bytes.subarray(3)))
  }
})
