/** Makes a directory with what is missing above it, for its owner alone. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { exists } from './exists.ts'

/**
 * Does nothing where it is there. Throws the system's error where it cannot be made or something else is in its place.
 * Node's own `recursive` never ends where a directory is there in which none can be made, as in /proc.
 */
export async function makeDir(path: string): Promise<void> {
  const error = await triedToMake(path)
  if (!error) return
  const above = dirname(path)
  if (error.code !== 'ENOENT' || (await exists(above))) throw error
  await makeDir(above)
  const again = await triedToMake(path)
  if (again) throw again
}

async function triedToMake(path: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(path, { mode: 0o700 })
    return undefined
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const isDirectory = await stat(path).then(
      (about) => about.isDirectory(),
      () => false,
    )
    return isDirectory ? undefined : error
  }
}
