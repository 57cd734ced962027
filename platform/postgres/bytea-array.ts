/** Many contents in one parameter. */
import { binaryArray } from './arrays.ts'

/** A parameter of type `bytea[]`, as those of `arrays.ts`: as text every byte would be two characters. */
export function byteaArray(elements: readonly (Uint8Array | null)[]): Buffer {
  const size = elements.reduce((sum, element) => sum + (element?.byteLength ?? 0), 0)
  return binaryArray('bytea', elements, size, (bytes, element, at) => {
    bytes.set(element, at)
    return element.byteLength
  })
}
