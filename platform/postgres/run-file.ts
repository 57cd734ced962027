/** `<dataDir>/run.json`: where commands find the service that has the data directory open. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export type RunFile = {
  /** Process that serves the database. */
  pid: number
  /** Directory of the database's UNIX socket; only its user can enter it. */
  socketDir: string
}

const pathOf = (dataDir: string): string => join(dataDir, 'run.json')

export async function writeRunFile(dataDir: string, run: RunFile): Promise<void> {
  const draft = `${pathOf(dataDir)}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(run)}\n`, { mode: 0o600 })
  await rename(draft, pathOf(dataDir))
}

/** What stands there; undefined when there is nothing, or nothing readable. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(pathOf(dataDir), 'utf8'))
    return isRunFile(found) ? found : undefined
  } catch {
    return undefined
  }
}

export const removeRunFile = (dataDir: string): Promise<void> => rm(pathOf(dataDir), { force: true })

const isRunFile = (found: unknown): found is RunFile =>
  typeof found === 'object' &&
  found !== null &&
  'pid' in found &&
  typeof found.pid === 'number' &&
  'socketDir' in found &&
  typeof found.socketDir === 'string'
