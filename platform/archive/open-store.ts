/** Which store a place means: a path is a directory, `s3://bucket/prefix` is object storage. */
import type { ArchiveStore } from './archive-store.ts'
import { directoryStore } from './directory-store.ts'
import { s3Store } from './s3-store.ts'

export type StoreOptions = { endpoint?: string | undefined; isPathStyle?: boolean; region?: string | undefined }

/** What is wrong with a place, or undefined. */
export function complaintAbout(place: string): string | undefined {
  if (!/^[a-z0-9+.-]+:\/\//i.test(place)) return place.trim() === '' ? 'it is empty' : undefined
  if (!place.startsWith('s3://')) return 'a directory or s3://bucket/prefix was expected'
  return s3Place(place) ? undefined : 's3://bucket/prefix was expected, with a valid bucket and plain characters'
}

/** Throws ARCHIVE_UNAVAILABLE for an unsafe endpoint; `place` is one `complaintAbout` says nothing of. */
export function openStore(place: string, options: StoreOptions = {}): ArchiveStore {
  const s3 = s3Place(place)
  return s3 ? s3Store({ ...options, ...s3 }) : directoryStore(place)
}

function s3Place(place: string): { bucket: string; prefix: string } | undefined {
  const found = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._/-]{0,400}))?$/.exec(place)
  if (!found) return undefined
  const prefix = (found[2] ?? '').replace(/\/+$/, '')
  return { bucket: found[1] ?? '', prefix: prefix === '' ? '' : `${prefix}/` }
}
