/** An archive in a directory. What is put there is written beside, synced, and linked into place: whole or not there. */
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Clock, Random } from '../clock.ts'
import { systemClock, systemRandom } from '../clock.ts'
import { isFailure, PlatformError } from '../errors.ts'
import { exists } from '../exists.ts'
import { type ArchiveStore, checkedName, type StoredThing, tooLarge } from './archive-store.ts'

/** Begins with a point, so that no name in the archive can be it. */
const draftsFolder = '.drafts'
/** Older drafts belong to a writer that was killed. */
const draftMsMax = 3_600_000

/** The directory is made at the first put; reading one that is not there finds nothing. */
export function directoryStore(dir: string, clock: Clock = systemClock, random: Random = systemRandom): ArchiveStore {
  const root = resolve(dir)
  let prepared: Promise<void> | undefined

  async function prepare(): Promise<void> {
    const drafts = join(root, draftsFolder)
    await mkdir(drafts, { recursive: true, mode: 0o700 })
    for (const name of await readdir(drafts)) {
      const { mtimeMs } = await stat(join(drafts, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
      if (mtimeMs < clock.nowMs() - draftMsMax) await rm(join(drafts, name), { force: true })
    }
  }

  async function place(name: string, content: Uint8Array): Promise<boolean> {
    prepared ??= prepare()
    await prepared
    const path = join(root, name)
    if (await exists(path)) return false
    const draft = join(root, draftsFolder, Buffer.from(random.bytes(12)).toString('hex'))
    try {
      const file = await open(draft, 'wx', 0o600)
      try {
        await file.writeFile(content)
        await file.sync()
      } finally {
        await file.close()
      }
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await link(draft, path)
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false
      throw error
    } finally {
      await rm(draft, { force: true })
    }
    await syncUpwards(dirname(path), root)
    return true
  }

  return {
    place: root,
    async putIfAbsent(name, content) {
      checkedName(name)
      try {
        return await place(name, content)
      } catch (error) {
        prepared = undefined
        throw unavailable(root, error)
      }
    },
    async get(name, bytesMax) {
      const path = join(root, checkedName(name))
      try {
        const file = await open(path, 'r')
        try {
          const { size } = await file.stat()
          if (size > bytesMax) throw tooLarge(root, name, size, bytesMax)
          return await file.readFile()
        } finally {
          await file.close()
        }
      } catch (error) {
        if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
        if (isFailure(error)) throw error
        throw unavailable(root, error)
      }
    },
    async *list(prefix, after = '') {
      yield* walk(root, '', prefix, after)
    },
    close: async () => undefined,
  }
}

async function* walk(root: string, folder: string, prefix: string, after: string): AsyncGenerator<StoredThing> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw unavailable(root, error)
  })
  const names = entries
    .filter((entry) => !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory()))
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  for (const name of names) {
    if (!name.startsWith(prefix) && !prefix.startsWith(name)) continue
    if (name.endsWith('/')) {
      if (name > after || after.startsWith(name)) yield* walk(root, name, prefix, after)
    } else if (name.startsWith(prefix) && name > after) {
      const found = await stat(join(root, name)).catch(() => undefined)
      if (found) yield { name, bytes: found.size }
    }
  }
}

/** A new entry is durable once its directory is, and that directory's entry once its own parent is. */
async function syncUpwards(from: string, root: string): Promise<void> {
  for (let dir = from; ; dir = dirname(dir)) {
    const handle = await open(dir, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (dir === root || dirname(dir) === dir) return
  }
}

const isErrno = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))

const unavailable = (place: string, error: unknown): PlatformError =>
  new PlatformError('ARCHIVE_UNAVAILABLE', { place, problem: String(error) }, { cause: error })
