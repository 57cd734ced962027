/**
 * What a broker answers to a Fetch request, as the protocol has it in versions 4 to 11, with record batches of format 2: of
 * each partition the records of committed transactions, taken out of the answer where they lie. kafkajs takes four
 * times as long for the same, with objects for each record, its numbers and its headers, lets records of aborted transactions through
 * when two producers interleave and the read begins in the middle, and looks at no checksum.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { PlatformError } from '../../errors.ts'
import type { TopicPartition } from './brokers.ts'
import {
  batchHeaderBytes,
  checkedFrom,
  checksumAt,
  crc32c,
  formatVersion,
  isTransactional,
  offsetAndLengthBytes,
} from './record-batch.ts'

export type FetchedRecord = {
  offset: bigint
  key: string
  value: Buffer
  /** Of a fact, and of the last one of its commit; -1 for what is none. A number, since every fact is looked at for it several times. */
  seq: number
  last: number
}

export type FetchedPartition = {
  partition: number
  /** Kafka's number; 0 for none. */
  errorCode: number
  /** Before it everything is decided. */
  lastStableOffset: bigint
  /** Where to read on; where it was read from when nothing came. */
  next: bigint
  records: FetchedRecord[]
}

export type FetchAnswer = {
  /** Milliseconds that the broker wants to be left alone; before version 8 it waits by itself. Named as kafkajs asks for it. */
  clientSideThrottleTime: number
  responses: { topicName: string; partitions: FetchedPartition[] }[]
}

/** Where in a batch they stand; the attributes are what its checksum begins with. */
const at = { format: 16, attributes: checkedFrom, lastOffsetDelta: 23, producerId: 43, count: 57 } as const
const attribute = { compression: 7, transactional: isTransactional, control: 32 } as const
const abortMarker = 0

/**
 * `from`: where each partition was asked to be read from; a batch is answered whole, also from its middle. The last batch of
 * a partition may be cut off, and is asked for again. Throws RECORD_DAMAGED for a wrong checksum, another format, and a
 * compression that is neither gzip nor zstd.
 */
export function decodeFetched(answer: Buffer, version: number, from: (part: TopicPartition) => bigint): FetchAnswer {
  const reader = readerOf(answer)
  const throttleMs = reader.int32()
  if (version >= 7) reader.skip(2 + 4) // An error of the session, and its id: there is none.
  const responses = reader.array(() => {
    const topic = reader.text()
    const partitions = reader.array(() => {
      const partition = reader.int32()
      const errorCode = reader.int16()
      reader.skip(8) // What all replicas have.
      const lastStableOffset = reader.int64()
      if (version >= 5) reader.skip(8) // Where the partition begins.
      const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
      if (version >= 11) reader.skip(4) // Another replica to read from.
      const batches = reader.bytes()
      const begun = from({ topic, partition })
      return { partition, errorCode, lastStableOffset, ...committedFrom(batches, begun, aborted, { topic, partition }) }
    })
    return { topicName: topic, partitions }
  })
  return { clientSideThrottleTime: version >= 8 ? throttleMs : 0, responses }
}

type Aborted = { producerId: bigint; firstOffset: bigint }

/** Records of committed transactions, without the markers between them, from `from` on. */
function committedFrom(
  batches: Buffer,
  from: bigint,
  abortedOnes: readonly Aborted[],
  part: TopicPartition,
): Pick<FetchedPartition, 'next' | 'records'> {
  const aborted = abortedOnes.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  /** Producers whose transaction, where we are, will be aborted. */
  const open = new Set<bigint>()
  const records: FetchedRecord[] = []
  let next = from
  for (let start = 0; start + batchHeaderBytes <= batches.length; ) {
    const firstOffset = batches.readBigInt64BE(start)
    const end = start + offsetAndLengthBytes + batches.readInt32BE(start + 8)
    if (end > batches.length) break
    const place = { ...part, offset: firstOffset }
    checkBatch(batches, start, end, place)
    const attributes = batches.readInt16BE(start + at.attributes)
    const lastOffset = firstOffset + BigInt(batches.readInt32BE(start + at.lastOffsetDelta))
    const producerId = batches.readBigInt64BE(start + at.producerId)
    for (; aborted[0] && aborted[0].firstOffset <= lastOffset; aborted.shift()) open.add(aborted[0].producerId)
    const isHidden = (attributes & attribute.transactional) !== 0 && open.has(producerId)
    if ((attributes & attribute.control) !== 0) {
      if (markerAt(batches, start + batchHeaderBytes) === abortMarker) open.delete(producerId)
    } else if (!isHidden) {
      const body = recordsOf(batches, start, end, attributes & attribute.compression, place)
      takeRecords(body, batches.readInt32BE(start + at.count), { firstOffset, from }, records)
    }
    if (lastOffset >= next) next = lastOffset + 1n
    start = end
  }
  return { next, records }
}

type Place = TopicPartition & { offset: bigint }

function checkBatch(batches: Buffer, start: number, end: number, place: Place): void {
  if (end < start + batchHeaderBytes) throw damaged(place, 'its batch is shorter than what every batch begins with')
  const format = batches.readInt8(start + at.format)
  if (format !== formatVersion)
    throw damaged(place, `its batch has format ${format}; brokers of Kafka 0.11 and later write ${formatVersion}`)
  if (crc32c(batches, start + checkedFrom, end) !== batches.readUInt32BE(start + checksumAt))
    throw damaged(place, 'its checksum is not the one of its bytes')
}

const damaged = ({ topic, partition, offset }: Place, problem: string): PlatformError =>
  new PlatformError('RECORD_DAMAGED', { topic, partition, offset, problem })

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

function recordsOf(batches: Buffer, start: number, end: number, compression: number, place: Place): Buffer {
  const body = batches.subarray(start + batchHeaderBytes, end)
  switch (compressions[compression]) {
    case 'none':
      return body
    case 'gzip':
      return gunzipSync(body)
    case 'zstd':
      return zstdDecompressSync(body)
    default:
      throw damaged(
        place,
        `its batch is compressed with ${compressions[compression] ?? compression}, and only gzip and zstd can be read; set compression.type=producer on the topic`,
      )
  }
}

/** The key of a marker: version, then type, two bytes each. Before it its record's length, attributes, times and offsets. */
function markerAt(batches: Buffer, start: number): number {
  const cursor = { at: start }
  varint(batches, cursor)
  cursor.at += 1
  skipVarint(batches, cursor)
  varint(batches, cursor)
  return varint(batches, cursor) >= 4 ? batches.readInt16BE(cursor.at + 2) : -1
}

/** Appends to `into` the records from `from` on that have a value. */
function takeRecords(
  body: Buffer,
  count: number,
  { firstOffset, from }: { firstOffset: bigint; from: bigint },
  into: FetchedRecord[],
): void {
  const cursor = { at: 0 }
  for (let index = 0; index < count; index++) {
    const length = varint(body, cursor)
    const end = cursor.at + length
    cursor.at += 1 // Attributes, of which there are none.
    skipVarint(body, cursor) // The difference of its time from the first one's.
    const offset = firstOffset + BigInt(varint(body, cursor))
    const keyLength = varint(body, cursor)
    const keyAt = cursor.at
    cursor.at += Math.max(0, keyLength)
    const valueLength = varint(body, cursor)
    const valueAt = cursor.at
    if (valueLength >= 0 && offset >= from) {
      cursor.at += valueLength
      const key = keyLength > 0 ? body.toString('utf8', keyAt, keyAt + keyLength) : ''
      const record = { offset, key, value: body.subarray(valueAt, valueAt + valueLength), seq: -1, last: -1 }
      takeHeaders(body, cursor, record)
      into.push(record)
    }
    cursor.at = end
  }
}

/** `seq` and `last`, which are digits, as a tenure writes them. */
function takeHeaders(body: Buffer, cursor: Cursor, record: FetchedRecord): void {
  for (let left = varint(body, cursor); left > 0; left--) {
    const nameLength = varint(body, cursor)
    const name = cursor.at
    cursor.at += nameLength
    const valueLength = Math.max(0, varint(body, cursor))
    if (is(body, name, nameLength, seqName)) record.seq = digitsOf(body, cursor.at, valueLength)
    else if (is(body, name, nameLength, lastName)) record.last = digitsOf(body, cursor.at, valueLength)
    cursor.at += valueLength
  }
}

const seqName = Buffer.from('seq')
const lastName = Buffer.from('last')

function is(bytes: Uint8Array, start: number, length: number, name: Uint8Array): boolean {
  if (length !== name.length) return false
  for (let index = 0; index < length; index++) if (bytes[start + index] !== name[index]) return false
  return true
}

const zero = '0'.charCodeAt(0)

function digitsOf(bytes: Uint8Array, start: number, length: number): number {
  let number = 0
  for (let index = start; index < start + length; index++) number = number * 10 + (bytes[index] ?? zero) - zero
  return number
}

type Cursor = { at: number }

/** A number of at most 32 bits, zigzag, seven bits a byte, lowest first. */
function varint(bytes: Uint8Array, cursor: Cursor): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[cursor.at++] ?? 0
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return (value >>> 1) ^ -(value & 1)
}

/** One of any size. */
function skipVarint(bytes: Uint8Array, cursor: Cursor): void {
  while ((bytes[cursor.at++] ?? 0) >= 0x80);
}

function readerOf(from: Buffer) {
  let next = 0
  const past = (bytes: number): number => {
    next += bytes
    return next - bytes
  }
  const int32 = () => from.readInt32BE(past(4))
  /** A length below 0 stands for nothing at all. */
  const bytesOf = (length: number): Buffer => from.subarray(past(Math.max(0, length)), next)
  return {
    skip: (bytes: number): void => void past(bytes),
    int16: () => from.readInt16BE(past(2)),
    int32,
    int64: () => from.readBigInt64BE(past(8)),
    text: () => bytesOf(from.readInt16BE(past(2))).toString('utf8'),
    bytes: () => bytesOf(int32()),
    array: <Item>(item: () => Item): Item[] => Array.from({ length: Math.max(0, int32()) }, item),
  }
}
