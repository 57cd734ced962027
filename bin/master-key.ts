/** The master key of an installation, held against the one its content was sealed with before. */
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isFailure } from '../platform/errors.ts'
import type { Database } from '../platform/postgres/database.ts'
import { existingMasterKey, localMasterKeyFile, type MasterKey } from '../platform/vault/master-key.ts'
import { otherMasterKey } from '../platform/vault/sealed-with.ts'
import { type Config, ConfigError } from './config.ts'

/**
 * For a start: made only where nothing was ever sealed. Throws ConfigError when the file cannot be used, or when the
 * content here was sealed with another key: what is submitted from then on would fail, though everything looked well.
 */
export async function masterKeyFor(config: Config, database: Database): Promise<MasterKey> {
  const known = await knownMasterKey(config)
  if ((await notedOther(config, known)) || (await otherMasterKey(database, known?.id)) !== undefined)
    throw new ConfigError([`PF3_MASTER_KEY_FILE: ${sealedWithAnother(config, known)}`])
  const masterKey = known ?? (await localMasterKeyFile(config.masterKeyFile))
  await note(config, masterKey)
  return masterKey
}

/** Undefined where there is none. Throws ConfigError for a file that is no key, or that others may read. */
export async function knownMasterKey({ masterKeyFile }: Config): Promise<MasterKey | undefined> {
  try {
    return await existingMasterKey(masterKeyFile)
  } catch (error) {
    if (!isFailure(error, 'VAULT_DAMAGED')) throw error
    throw new ConfigError([`PF3_MASTER_KEY_FILE: ${resolve(masterKeyFile)}: ${error.facts.problem}`])
  }
}

/** Whether the built-in database was last started with another key. It need not be open to know that. */
export async function notedOther(config: Config, masterKey: MasterKey | undefined): Promise<boolean> {
  if (config.postgresUrl !== undefined) return false
  const noted = await readFile(noteFile(config), 'utf8').catch(() => '')
  return noted !== '' && noted.trim() !== masterKey?.id
}

/** What is wrong, and what to do. */
export function sealedWithAnother({ masterKeyFile }: Config, masterKey: MasterKey | undefined): string {
  const path = resolve(masterKeyFile)
  return masterKey
    ? `this data was sealed with another key than that in ${path}; restore your copy of the right one`
    : `this data was sealed with a key that is not there; restore your copy of ${path}`
}

/** Beside the built-in database: which key it goes with, by the key's id, which reveals nothing of it. */
const noteFile = ({ dataDir }: Config): string => join(dataDir, 'master-key.id')

async function note(config: Config, { id }: MasterKey): Promise<void> {
  if (config.postgresUrl === undefined) await writeFile(noteFile(config), `${id}\n`, { mode: 0o600 })
}
