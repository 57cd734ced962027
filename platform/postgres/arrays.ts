/**
 * Parameters that are whole columns: arrays in PostgreSQL's binary form (array_recv in its source). The driver would
 * write them as text and the server read that text again. One element or more; null is NULL.
 */
const headerBytes = 20
const utf8BytesMax = 3
const oids = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25 } as const

/** `text[]`. No element may hold U+0000. */
export function textArray(elements: readonly (string | null)[]): Buffer {
  const most = elements.reduce((sum, element) => sum + (element === null ? 0 : element.length * utf8BytesMax), 0)
  return binaryArray('text', elements, most, (bytes, element, at) => bytes.write(element, at))
}

/** `bigint[]`. Throws RangeError for more than eight bytes. */
export const bigintArray = (elements: readonly (bigint | null)[]): Buffer =>
  binaryArray('int8', elements, elements.length * 8, (bytes, element, at) => bytes.writeBigInt64BE(element, at) - at)

/** `integer[]`. Throws RangeError for more than four bytes. */
export const intArray = (elements: readonly (number | null)[]): Buffer =>
  binaryArray('int4', elements, elements.length * 4, (bytes, element, at) => bytes.writeInt32BE(element, at) - at)

/** `boolean[]`. */
export const booleanArray = (elements: readonly (boolean | null)[]): Buffer =>
  binaryArray('bool', elements, elements.length, (bytes, element, at) => bytes.writeUInt8(element ? 1 : 0, at) - at)

/** `bytesMax`: of all elements together; `write` puts one at its place and answers how many bytes it took. */
export function binaryArray<Element>(
  type: keyof typeof oids,
  elements: readonly (Element | null)[],
  bytesMax: number,
  write: (bytes: Buffer, element: Element, at: number) => number,
): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + 4 * elements.length + bytesMax)
  const [dimensions, lowerBound, hasNulls] = [1, 1, elements.includes(null) ? 1 : 0]
  let at = 0
  for (const word of [dimensions, hasNulls, oids[type], elements.length, lowerBound]) at = bytes.writeInt32BE(word, at)
  for (const element of elements) {
    const size = element === null ? 0 : write(bytes, element, at + 4)
    bytes.writeInt32BE(element === null ? -1 : size, at)
    at += 4 + size
  }
  return bytes.subarray(0, at)
}
