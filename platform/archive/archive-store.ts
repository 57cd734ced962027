/** Where an archive lies: a directory or object storage. Things are put there once and never changed or removed. */
import { PlatformError } from '../errors.ts'

export type StoredThing = { name: string; bytes: number }

/** Names are `/`-separated; every part starts with a letter or digit and holds letters, digits, `.`, `_` and `-`. */
export type ArchiveStore = {
  /** For messages: a path or an address, without credentials. */
  readonly place: string
  /**
   * Whole and durable once it resolves; of several at once exactly one gets true. False when something stands under
   * that name, which stays as it is. Throws ARCHIVE_UNAVAILABLE.
   */
  putIfAbsent(name: string, content: Uint8Array): Promise<boolean>
  /**
   * Undefined when there is no such thing. Throws ARCHIVE_DAMAGED when it has more than `bytesMax` bytes, without reading
   * it whole, and ARCHIVE_UNAVAILABLE.
   */
  get(name: string, bytesMax: number): Promise<Uint8Array | undefined>
  /** Everything whose name begins with `prefix`, in byte order of names; with `after`, only what follows that name. */
  list(prefix: string, after?: string): AsyncGenerator<StoredThing>
  close(): Promise<void>
}

const nameCharsMax = 500

/** Throws INTERNAL for a name that could lead out of the archive. */
export function checkedName(name: string): string {
  if (name.length > nameCharsMax || !/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/.test(name))
    throw new PlatformError('INTERNAL', { problem: 'not a name in an archive', name: name.slice(0, nameCharsMax) })
  return name
}

export const tooLarge = (place: string, name: string, bytes: number, bytesMax: number): PlatformError =>
  new PlatformError('ARCHIVE_DAMAGED', { file: name, problem: `has ${bytes} bytes, more than ${bytesMax}`, place })
