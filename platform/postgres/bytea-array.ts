/** Many contents in one parameter. */
const byteaOid = 17
const headerBytes = 20

/**
 * A parameter of type `bytea[]` in PostgreSQL's binary form (array_recv in its source): the driver would write every byte
 * as two characters. One element or more; null is NULL.
 */
export function byteaArray(elements: readonly (Uint8Array | null)[]): Buffer {
  const size = elements.reduce((sum, element) => sum + 4 + (element?.byteLength ?? 0), headerBytes)
  const bytes = Buffer.allocUnsafe(size)
  const [dimensions, lowerBound, hasNulls] = [1, 1, elements.includes(null) ? 1 : 0]
  let at = 0
  for (const word of [dimensions, hasNulls, byteaOid, elements.length, lowerBound]) at = bytes.writeInt32BE(word, at)
  for (const element of elements) {
    at = bytes.writeInt32BE(element?.byteLength ?? -1, at)
    if (element) bytes.set(element, at)
    at += element?.byteLength ?? 0
  }
  return bytes
}
