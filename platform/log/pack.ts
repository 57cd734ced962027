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
