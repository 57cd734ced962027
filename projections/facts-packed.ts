/** Facts of a partition that follow each other, as they cross to another thread: thousands of them in a few pieces. */
import type { FactCursor, StoredFact } from '../platform/log/log.ts'
import { type Packed, pack, unpack } from '../platform/log/pack.ts'
import type { FactStream } from '../schemas/streams.ts'

/** Each list has one entry per fact. `cursor` is where the reader stands after them. */
export type PackedFacts = Omit<Packed, 'packed'> & {
  packed: Uint8Array
  keys: string[]
  streams: FactStream[]
  offsets: bigint[]
  cursor: FactCursor
}

export function packFacts({ facts, cursor }: { facts: readonly StoredFact[]; cursor: FactCursor }): PackedFacts {
  return {
    ...pack(facts.map(({ value }) => value)),
    keys: facts.map(({ key }) => key),
    streams: facts.map(({ stream }) => stream),
    offsets: facts.map(({ offset }) => offset),
    cursor,
  }
}

/** `after`: the seq of the last fact before them. The log gives every fact after a cursor, without a gap. */
export function unpackFacts(read: PackedFacts, after: bigint): { facts: StoredFact[]; cursor: FactCursor } {
  const { keys, streams, offsets, cursor } = read
  let seq = after
  const facts: StoredFact[] = []
  for (const [index, value] of unpack(read).entries()) {
    const [key, stream, offset] = [keys[index], streams[index], offsets[index]]
    if (key === undefined || stream === undefined || offset === undefined) throw new Error('A fact crossed in part.')
    seq += 1n
    facts.push({ key, stream, offset, seq, value })
  }
  return { facts, cursor }
}
