/** kafkajs' own encoder makes the batches, and its decoder is the reference, but for what `fetched.ts` says of it. */
import { createRequire } from 'node:module'
import { zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { sequence } from '../../../providers/local/seeded-order.ts'
import { decodeFetched, type FetchedRecord } from './fetched.ts'
import { crc32c } from './record-batch.ts'

const fromHere = createRequire(import.meta.url)
const { RecordBatch } = fromHere('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(parts: object): Promise<{ buffer: Buffer }>
}
const kafkajsRecord: (parts: object) => object = fromHere('kafkajs/src/protocol/recordBatch/record/v0')
const Encoder = fromHere('kafkajs/src/protocol/encoder')

const versions = [4, 5, 6, 7, 8, 9, 10, 11] as const
const part = { topic: 'pf3.jobs', partition: 3 }

type Headers = Readonly<Record<string, string>>
type Given = { key: Buffer | null; value: Buffer | null; headers: Headers }
type Batch = {
  firstOffset: number
  producerId?: string
  transactional?: boolean
  compression?: number
  records: readonly Given[]
  /** Where compaction has left gaps; else one after another. */
  deltas?: readonly number[]
}

const given = (text: string, parts: Partial<Given> = {}): Given => ({
  key: Buffer.from('job-000017'),
  value: Buffer.from(text),
  headers: { seq: '1234', last: '1240' },
  ...parts,
})

async function batchBytes({ records, deltas = records.map((_, at) => at), ...parts }: Batch): Promise<Buffer> {
  const { buffer } = await RecordBatch({
    producerId: '-1',
    lastOffsetDelta: deltas.at(-1) ?? 0,
    firstTimestamp: '1793448000000',
    maxTimestamp: '1793448000900',
    ...parts,
    firstOffset: String(parts.firstOffset),
    records: records.map(({ key, value, headers }, at) =>
      kafkajsRecord({ key, value, headers, offsetDelta: deltas[at], timestampDelta: at * 7 }),
    ),
  })
  return buffer
}

/** What a broker writes at the end of a transaction. */
async function marker(firstOffset: number, producerId: string, type: 'abort' | 'commit'): Promise<Buffer> {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  const record = given('', { key, value: Buffer.alloc(6), headers: {} })
  return changed(await batchBytes({ firstOffset, producerId, transactional: true, records: [record] }), (bytes) =>
    bytes.writeInt16BE(16 | 32, 21),
  )
}

/** With the checksum that fits. */
function changed(batch: Buffer, change: (bytes: Buffer) => unknown): Buffer {
  const bytes = Buffer.from(batch)
  change(bytes)
  bytes.writeUInt32BE(crc32c(bytes, 21), 17)
  return bytes
}

type Aborted = { producerId: string; firstOffset: number }
type Answered = {
  partition: number
  errorCode?: number
  stable?: number
  aborted?: Aborted[]
  batches: readonly Buffer[]
}

function answer(version: number, topics: Readonly<Record<string, readonly Answered[]>>, throttleMs = 0): Buffer {
  const partitionBytes = ({ partition, errorCode = 0, stable = 1_000, aborted = [], batches }: Answered) => {
    const into = new Encoder().writeInt32(partition).writeInt16(errorCode).writeInt64(2_000).writeInt64(stable)
    if (version >= 5) into.writeInt64(0)
    into.writeArray(
      aborted.map((one) => new Encoder().writeInt64(one.producerId).writeInt64(one.firstOffset)),
      'object',
    )
    if (version >= 11) into.writeInt32(-1)
    return into.writeBytes(Buffer.concat(batches))
  }
  const into = new Encoder().writeInt32(throttleMs)
  if (version >= 7) into.writeInt16(0).writeInt32(0)
  const encoded = Object.entries(topics).map(([topic, partitions]) =>
    new Encoder().writeString(topic).writeArray(partitions.map(partitionBytes), 'object'),
  )
  return into.writeArray(encoded, 'object').buffer
}

/** Of one partition of one topic. */
function read(batches: readonly Buffer[], { from = 0, aborted = [] }: { from?: number; aborted?: Aborted[] } = {}) {
  const bytes = answer(11, { [part.topic]: [{ partition: part.partition, aborted, batches }] })
  const [topic] = decodeFetched(bytes, 11, () => BigInt(from)).responses
  const [found] = topic?.partitions ?? []
  if (!found) throw new Error('there is no partition')
  return found
}

const texts = (records: readonly FetchedRecord[]): string[] => records.map(({ value }) => value.toString())

type KafkajsRecord = { offset: string; key: Buffer | null; value: Buffer | null; headers: Record<string, Buffer> }
type KafkajsAnswer = {
  clientSideThrottleTime?: number
  responses: {
    topicName: string
    partitions: { partition: number; errorCode: number; lastStableOffset: string; messages: KafkajsRecord[] }[]
  }[]
}

async function byKafkajs(bytes: Buffer, version: number): Promise<KafkajsAnswer> {
  return await fromHere(`kafkajs/src/protocol/requests/fetch/v${version}/response`).decode(bytes)
}

/** What `decodeFetched` is to make of the same bytes, read from the beginning, with nothing aborted. */
async function expected(bytes: Buffer, version: number) {
  const { clientSideThrottleTime = 0, responses } = await byKafkajs(bytes, version)
  return {
    clientSideThrottleTime,
    responses: responses.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partition, errorCode, lastStableOffset, messages }) => ({
        partition,
        errorCode,
        lastStableOffset: BigInt(lastStableOffset),
        next: BigInt(messages.at(-1)?.offset ?? -1) + 1n,
        records: messages
          .filter(({ value }) => value !== null)
          .map(({ offset, key, value, headers }) => ({
            offset: BigInt(offset),
            key: key?.toString() ?? '',
            value,
            seq: Number(headers['seq'] ?? -1),
            last: Number(headers['last'] ?? -1),
          })),
      })),
    })),
  }
}

/** Compared as text: buffers of one answer share their memory in one reader and not in the other. */
const plain = (value: unknown): string =>
  JSON.stringify(value, (_, of) => (typeof of === 'bigint' ? String(of) : of instanceof Uint8Array ? [...of] : of))

test.each(versions)('an answer of version %i is read as kafkajs reads it', async (version) => {
  const batches = [
    await batchBytes({ firstOffset: 0, records: [given('a'), given('b', { headers: { seq: '7' } })] }),
    await batchBytes({ firstOffset: 2, compression: 1, records: [given('c'), given('d', { headers: {} })] }),
  ]
  const topics = {
    'pf3.jobs': [
      { partition: 0, batches },
      { partition: 1, batches: [], errorCode: 6, stable: 0 },
    ],
    'pf3.usage': [{ partition: 0, batches: batches.slice(0, 1), stable: 2 }],
  }
  const bytes = answer(version, topics, 40)
  const found = decodeFetched(bytes, version, () => 0n)
  expect(plain(found)).toBe(plain(await expected(bytes, version)))
  expect(found.clientSideThrottleTime).toBe(version >= 8 ? 40 : 0)
})

test('three hundred answers of chance are read as kafkajs reads them', async () => {
  const random = sequence(19)
  const below = (end: number) => Math.floor(random() * end)
  const some = <Thing>(countMax: number, make: (at: number) => Thing): Thing[] =>
    Array.from({ length: below(countMax + 1) }, (_, at) => make(at))
  const bytesOf = (lengthMax: number) => Buffer.from(some(lengthMax, () => below(256)))
  const text = () => some(70, () => 'abcé€𝄞0123-'[below(11)] ?? '').join('')
  const digits = () => String(below(2 ** ([4, 14, 31][below(3)] ?? 47)))
  const headers = (): Headers => {
    const own = { ...(random() < 0.8 && { seq: digits() }), ...(random() < 0.8 && { last: digits() }) }
    const others = Object.fromEntries(some(2, () => [text(), text()]))
    return random() < 0.5 ? { ...own, ...others } : { ...others, ...own }
  }
  for (let run = 0; run < 300; run++) {
    let firstOffset = random() < 0.3 ? 2 ** 40 : 0
    const batches: Buffer[] = []
    for (let left = below(5); left > 0; left--) {
      const valueBytesMax = random() < 0.1 ? 9_000 : 200
      const records = Array.from({ length: 1 + below(random() < 0.1 ? 150 : 6) }, () => ({
        key: random() < 0.1 ? null : Buffer.from(text()),
        value: random() < 0.1 ? null : bytesOf(valueBytesMax),
        headers: headers(),
      }))
      let delta = -1
      const deltas = records.map(() => (delta += 1 + (random() < 0.2 ? below(200) : 0)))
      batches.push(await batchBytes({ firstOffset, compression: random() < 0.2 ? 1 : 0, records, deltas }))
      firstOffset += delta + 1 + below(3)
    }
    const version = versions[below(versions.length)] ?? 11
    const bytes = answer(version, { [text()]: [{ partition: below(9), batches }] })
    expect(plain(decodeFetched(bytes, version, () => 0n))).toBe(plain(await expected(bytes, version)))
  }
})

test('a read from the middle of a batch begins there', async () => {
  const batches = [
    await batchBytes({ firstOffset: 100, records: [given('a'), given('b'), given('c')] }),
    await batchBytes({ firstOffset: 103, records: [given('d')] }),
  ]
  const found = read(batches, { from: 102 })
  expect(texts(found.records)).toEqual(['c', 'd'])
  expect(found.records.map(({ offset }) => offset)).toEqual([102n, 103n])
  expect(found.next).toBe(104n)
})

test('a batch that is cut off is left for the next read, and one that compaction has emptied is passed', async () => {
  const whole = await batchBytes({ firstOffset: 5, records: [given('a')] })
  const cut = await batchBytes({ firstOffset: 6, records: [given('b'.repeat(100))] })
  for (const bytes of [0, 8, 11, 12, 60, 61, cut.length - 1])
    expect(read([whole, cut.subarray(0, bytes)], { from: 5 })).toMatchObject({ next: 6n, records: [{ offset: 5n }] })

  const emptied = changed(await batchBytes({ firstOffset: 6, records: [] }), (b) => b.writeInt32BE(41, 23))
  expect(read([whole, emptied], { from: 5 }).next).toBe(48n)
  expect(read([emptied], { from: 20 })).toMatchObject({ next: 48n, records: [] })
  expect(read([], { from: 20 })).toMatchObject({ next: 20n, records: [] })
})

test('records of aborted transactions are left out, of whoever writes between them kept', async () => {
  const inTransaction = async (firstOffset: number, producerId: string, ...of: string[]) =>
    batchBytes({ firstOffset, producerId, transactional: true, records: of.map((text) => given(text)) })
  const batches = [
    await inTransaction(10, '7', 'aborted 1', 'aborted 2'),
    await inTransaction(12, '8', 'kept 1'),
    await batchBytes({ firstOffset: 13, producerId: '7', records: [given('no transaction')] }),
    await inTransaction(14, '7', 'aborted 3'),
    await marker(15, '7', 'abort'),
    await inTransaction(16, '7', 'kept 2'),
    await marker(17, '8', 'commit'),
    await inTransaction(18, '8', 'aborted 4'),
    await marker(19, '7', 'commit'),
    await marker(20, '8', 'abort'),
    await inTransaction(21, '8', 'kept 3'),
    await marker(22, '8', 'commit'),
  ]
  const aborted = [
    { producerId: '8', firstOffset: 18 },
    { producerId: '7', firstOffset: 10 },
  ]
  const all = ['kept 1', 'no transaction', 'kept 2', 'kept 3']
  expect(texts(read(batches, { from: 10, aborted }).records)).toEqual(all)
  expect(read(batches, { from: 10, aborted }).next).toBe(23n)
  // Begun in the middle of a transaction, which the broker still names.
  expect(texts(read(batches.slice(3), { from: 14, aborted }).records)).toEqual(all.slice(2))
  // Only markers.
  expect(read(batches.slice(11), { from: 22 })).toMatchObject({ next: 23n, records: [] })
})

test('a single bit that is not what was written is found', async () => {
  const batch = await batchBytes({ firstOffset: 4, records: [given('a fact', { key: Buffer.from('k') })] })
  for (let bit = 17 * 8; bit < batch.length * 8; bit++) {
    const bytes = Buffer.from(batch)
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(() => read([bytes])).toThrow(expect.objectContaining({ code: 'RECORD_DAMAGED' }))
  }
})

test('lengths that cannot be are refused', async () => {
  const batch = await batchBytes({ firstOffset: 4, records: [given('a')] })
  for (const length of [-12, -1, 0, 48]) {
    const bytes = Buffer.from(batch)
    bytes.writeInt32BE(length, 8)
    expect(() => read([bytes])).toThrow('shorter than what every batch begins with')
  }
})

test('zstd is read; what cannot be is refused with what to do', async () => {
  const batch = await batchBytes({ firstOffset: 4, records: [given('a'), given('b')] })
  const packed = Buffer.concat([batch.subarray(0, 61), zstdCompressSync(batch.subarray(61))])
  packed.writeInt32BE(packed.length - 12, 8)
  expect(texts(read([changed(packed, (b) => b.writeInt16BE(4, 21))]).records)).toEqual(['a', 'b'])

  for (const [compression, name] of [
    [2, 'snappy'],
    [3, 'lz4'],
    [5, '5'],
  ] as const)
    expect(() => read([changed(batch, (b) => b.writeInt16BE(compression, 21))])).toThrow(
      `compressed with ${name}, and only gzip and zstd can be read; set compression.type=producer`,
    )
  expect(() => read([changed(batch, (b) => b.writeInt8(1, 16))])).toThrow('its batch has format 1')
})

test('values lie in the answer itself', async () => {
  const bytes = answer(11, {
    t: [{ partition: 0, batches: [await batchBytes({ firstOffset: 0, records: [given('a')] })] }],
  })
  const value = decodeFetched(bytes, 11, () => 0n).responses[0]?.partitions[0]?.records[0]?.value
  expect(value?.buffer).toBe(bytes.buffer)
})
