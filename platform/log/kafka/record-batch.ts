/**
 * The body of a Produce request that belongs to a transaction, as the protocol has it in versions 3 to 7, with record batches
 * of format 2 that are not compressed: the bytes that kafkajs makes of the same, measured first and then written into one
 * buffer. kafkajs has a buffer of its own for every record and header, and copies each of them from one to the next, seven deep.
 */
import type { EpochMs } from '../../../schemas/units.ts'
import type { TopicPartition } from './brokers.ts'
import type { OutgoingRecord, TransactionalProducer } from './client.ts'

/** The records of one topic, each topic at most once, and the sequence of the first of them. */
export type SequencedRecords = TopicPartition & { firstSequence: number; records: readonly OutgoingRecord[] }

export type ProduceBody = TransactionalProducer & {
  timeoutMs: number
  /** The time of every record. */
  nowMs: EpochMs
  batches: readonly SequencedRecords[]
}

/** A transaction's records are confirmed once every replica in sync has them: brokers take no other. */
const acks = -1
export const formatVersion = 2
export const isTransactional = 16
/** Of a batch: its offset and its length, which counts neither of them; then everything up to the first record. */
export const offsetAndLengthBytes = 12
export const batchHeaderBytes = 61
/** Where the checksum stands in a batch, and from where on it is taken. */
export const checksumAt = 17
export const checkedFrom = 21
/** Of a record: attributes and the difference of its time from the first one's, both 0. */
const attributesAndTimeBytes = 2

/** Throws when a number is outside what its field holds. */
export function encodeProduce({ transactionalId, timeoutMs, ...batchParts }: ProduceBody): Buffer {
  const { batches } = batchParts
  const sizes: number[] = []
  let bytesTotal = 2 + Buffer.byteLength(transactionalId) + 2 + 4 + 4
  const batchBytes = batches.map(({ topic, records }) => {
    const bytes = batchHeaderBytes + measureRecords(records, sizes)
    bytesTotal += 2 + Buffer.byteLength(topic) + 4 + 4 + 4 + bytes
    return bytes
  })
  const into = Buffer.allocUnsafe(bytesTotal)
  let at = putString(into, 0, transactionalId)
  at = into.writeInt16BE(acks, at)
  at = into.writeInt32BE(timeoutMs, at)
  at = into.writeInt32BE(batches.length, at)
  const taken = { sizes, next: 0 }
  for (const [index, batch] of batches.entries()) {
    at = putString(into, at, batch.topic)
    at = into.writeInt32BE(1, at) // Partitions of this topic.
    at = into.writeInt32BE(batch.partition, at)
    at = into.writeInt32BE(batchBytes[index] ?? 0, at)
    at = putBatch(into, at, batchBytes[index] ?? 0, batch, batchParts, taken)
  }
  return into
}

/** Bytes of all the records; appends to `sizes` what `putRecords` needs to know: of each record, then of each of its texts. */
function measureRecords(records: readonly OutgoingRecord[], sizes: number[]): number {
  let total = 0
  let offsetDelta = 0
  for (const { key, value, headers } of records) {
    const recordAt = sizes.push(0) - 1
    const names = Object.keys(headers)
    let bytes = attributesAndTimeBytes + varintBytes(offsetDelta++) + varintBytes(names.length)
    bytes += varintBytes(value.length) + value.length + measureText(key, sizes)
    for (const name of names) bytes += measureText(name, sizes) + measureText(headers[name] ?? '', sizes)
    sizes[recordAt] = bytes
    total += varintBytes(bytes) + bytes
  }
  return total
}

function measureText(text: string, sizes: number[]): number {
  const bytes = utf8Bytes(text)
  sizes.push(bytes)
  return varintBytes(bytes) + bytes
}

type Sizes = { sizes: readonly number[]; next: number }

function putBatch(
  into: Buffer,
  start: number,
  bytes: number,
  { firstSequence, records }: SequencedRecords,
  { producerId, producerEpoch, nowMs }: Pick<ProduceBody, 'producerId' | 'producerEpoch' | 'nowMs'>,
  taken: Sizes,
): number {
  const time = BigInt(nowMs)
  let at = into.writeBigInt64BE(0n, start) // The broker gives the offset.
  at = into.writeInt32BE(bytes - offsetAndLengthBytes, at)
  at = into.writeInt32BE(0, at) // The leader's epoch, which the broker writes, too.
  into.writeInt8(formatVersion, at)
  at = into.writeInt16BE(isTransactional, start + checkedFrom)
  at = into.writeInt32BE(records.length - 1, at)
  at = into.writeBigInt64BE(time, at) // Of the first record, and the latest.
  at = into.writeBigInt64BE(time, at)
  at = into.writeBigInt64BE(BigInt(producerId), at)
  at = into.writeInt16BE(producerEpoch, at)
  at = into.writeInt32BE(firstSequence, at)
  at = into.writeInt32BE(records.length, at)
  at = putRecords(into, at, records, taken)
  into.writeUInt32BE(crc32c(into, start + checkedFrom, at), start + checksumAt)
  return at
}

function putRecords(into: Buffer, start: number, records: readonly OutgoingRecord[], taken: Sizes): number {
  let at = start
  let offsetDelta = 0
  for (const { key, value, headers } of records) {
    at = putVarint(into, at, taken.sizes[taken.next++] ?? 0)
    into[at++] = 0
    into[at++] = 0
    at = putVarint(into, at, offsetDelta++)
    at = putText(into, at, key, taken)
    at = putVarint(into, at, value.length)
    into.set(value, at)
    at += value.length
    const names = Object.keys(headers)
    at = putVarint(into, at, names.length)
    for (const name of names) {
      at = putText(into, at, name, taken)
      at = putText(into, at, headers[name] ?? '', taken)
    }
  }
  return at
}

function putText(into: Buffer, start: number, text: string, taken: Sizes): number {
  const bytes = taken.sizes[taken.next++] ?? 0
  const at = putVarint(into, start, bytes)
  if (bytes === text.length && bytes <= shortTextMax) {
    for (let index = 0; index < bytes; index++) into[at + index] = text.charCodeAt(index)
  } else into.write(text, at)
  return at + bytes
}

/** Its length takes two bytes. */
function putString(into: Buffer, start: number, text: string): number {
  const at = into.writeInt16BE(Buffer.byteLength(text), start)
  return at + into.write(text, at)
}

/** Up to this a text of ASCII, which has as many bytes as characters, is done here before the runtime's own is reached. */
const shortTextMax = 48

function utf8Bytes(text: string): number {
  if (text.length > shortTextMax) return Buffer.byteLength(text)
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text)
  return text.length
}

/** Of a number that is not negative and below 2 ** 30: the protocol doubles it to have room for the sign. */
const varintBytes = (value: number): number =>
  value < 1 << 6 ? 1 : value < 1 << 13 ? 2 : value < 1 << 20 ? 3 : value < 1 << 27 ? 4 : 5

function putVarint(into: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value << 1
  while (rest > 0x7f) {
    into[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  into[at++] = rest
  return at
}

/** CRC-32C of `bytes` from `start` up to `end`: sixteen bytes at a time ("slicing-by-16", Intel 2006). */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let crc = -1
  let at = start
  for (; at + 16 <= end; at += 16) {
    const a = crc ^ view.getInt32(at, true)
    const b = view.getInt32(at + 4, true)
    const c = view.getInt32(at + 8, true)
    const d = view.getInt32(at + 12, true)
    crc =
      followedBy(15, a) ^
      followedBy(14, a >>> 8) ^
      followedBy(13, a >>> 16) ^
      followedBy(12, a >>> 24) ^
      followedBy(11, b) ^
      followedBy(10, b >>> 8) ^
      followedBy(9, b >>> 16) ^
      followedBy(8, b >>> 24) ^
      followedBy(7, c) ^
      followedBy(6, c >>> 8) ^
      followedBy(5, c >>> 16) ^
      followedBy(4, c >>> 24) ^
      followedBy(3, d) ^
      followedBy(2, d >>> 8) ^
      followedBy(1, d >>> 16) ^
      followedBy(0, d >>> 24)
  }
  for (; at < end; at++) crc = followedBy(0, crc ^ view.getUint8(at)) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** What the lowest byte of `value` adds to the checksum when `zeros` bytes of 0 follow it. */
const followedBy = (zeros: number, value: number): number => table.getInt32((zeros << 10) | ((value & 0xff) << 2), true)

/** A view, because an element of an array could be missing as far as the type check knows; it is as fast. */
const table = tableOf(16)

function tableOf(slices: number): DataView {
  const polynomial = 0x82f63b78 // Castagnoli's, its bits reversed.
  const entries = new DataView(new ArrayBuffer(slices << 10))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0)
    entries.setInt32(byte << 2, crc, true)
  }
  for (let at = 1 << 10; at < entries.byteLength; at += 4) {
    const before = entries.getInt32(at - (1 << 10), true)
    entries.setInt32(at, entries.getInt32((before & 0xff) << 2, true) ^ (before >>> 8), true)
  }
  return entries
}
