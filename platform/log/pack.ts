/** Many byte strings as one, with where each begins (counted from 1, as SQL does) and how long it is. */
export type Packed = { starts: number[]; lengths: number[]; packed: Buffer }

export function pack(values: readonly Uint8Array[]): Packed {
  const lengths = values.map((value) => value.byteLength)
  const packed = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  const starts = values.map((value) => {
    const start = at
    packed.set(value, start)
    at += value.byteLength
    return start + 1
  })
  return { starts, lengths, packed }
}

/** What `pack` was given; also of bytes that have crossed to another thread. */
export const unpack = ({ starts, lengths, packed }: Omit<Packed, 'packed'> & { packed: Uint8Array }): Uint8Array[] =>
  starts.map((start, index) => packed.subarray(start - 1, start - 1 + (lengths[index] ?? 0)))
