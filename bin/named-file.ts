/** Files that options name. */
import { readFile } from 'node:fs/promises'
import { ConfigError } from './config.ts'

/** What stands in it. Throws ConfigError, with the option, where it cannot be read. */
export async function readNamedFile(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ConfigError([`${option}: ${path} cannot be read: ${error instanceof Error ? error.message : error}`])
  }
}
