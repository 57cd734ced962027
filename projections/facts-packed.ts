/** Facts of a partition that follow each other, as they cross to another thread: thousands of them in a few pieces. */

import type { FactCursor, StoredFact } from '../platform/log/log.ts'
import { type FactStream, factStreams } from '../schemas/streams.ts'

/** Each list has one entry per fact. */
export type PackedFacts = {
  /** All values, one after the other. */
  packed: Uint8Array
  lengths: Uint32Array
  keys: string[]
  /** By their places in `factStreams`. */
  streams: Uint8Array
  offsets: BigInt64Array
  /** Where the reader stands after them. */
  cursor: FactCursor
}

export function packFacts({ facts, cursor }: { facts: readonly StoredFact[]; cursor: FactCursor }): PackedFacts {
  const lengths = Uint32Array.from(facts, ({ value }) => value.byteLength)
  const packed = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const { value } of facts) {
    packed.set(value, at)
    at += value.byteLength
  }
  return {
    packed,
    lengths,
    keys: facts.map(({ key }) => key),
    streams: Uint8Array.from(facts, ({ stream }) => placeOf[stream]),
    offsets: BigInt64Array.from(facts, ({ offset }) => offset),
    cursor,
  }
}

const placeOf = Object.fromEntries(factStreams.map((stream, at) => [stream, at])) as Record<FactStream, number>

/** `after`: the seq of the last fact before them. The log gives every fact after a cursor, without a gap. */
export function unpackFacts(read: PackedFacts, after: bigint): { facts: StoredFact[]; cursor: FactCursor } {
  const { packed, lengths, keys, streams, offsets, cursor } = read
  let [seq, at] = [after, 0]
  const facts: StoredFact[] = []
  const all = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  for (const [index, length] of lengths.entries()) {
    const [key, stream, offset] = [keys[index], factStreams[streams[index] ?? -1], offsets[index]]
    if (key === undefined || stream === undefined || offset === undefined) throw new Error('A fact crossed in part.')
    seq += 1n
    facts.push({ key, stream, offset, seq, value: all.subarray(at, at + length) })
    at += length
  }
  return { facts, cursor }
}
