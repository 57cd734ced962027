/**
 * A freshly initialised PGlite as a file. Initialising takes seconds, unpacking half a second; the result is the
 * same for every new database, so it is made once per installation and kept beside the packages.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

/** Makes the template when it is missing. Undefined when it cannot be kept: the caller then initialises anew. */
export async function openTemplate(): Promise<Blob | undefined> {
  const path = templatePath()
  const kept = await readFile(path).catch(() => undefined)
  if (kept) return new Blob([kept])
  const db = await PGlite.create()
  const made = await db.dumpDataDir('none')
  await db.close()
  const draft = `${path}.${process.pid}`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(draft, Buffer.from(await made.arrayBuffer()))
    await rename(draft, path)
  } catch {
    await rm(draft, { force: true }) // An installation that cannot be written to works, only slower.
  }
  return made
}

/** Names the version, since another PGlite may be another PostgreSQL. */
function templatePath(): string {
  const packageDir = join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), '..')
  const version: string = createRequire(import.meta.url)(join(packageDir, 'package.json')).version
  return join(packageDir, '..', '..', '.cache', 'pf3', `pglite-${version}.tar`)
}
