/** The archive a command is about: where it lies, and the key that its manifests are signed with. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { type ArchiveReader, publicKeyOf, type Signer, signerFrom } from '../platform/archive/archive.ts'
import type { ArchiveStore } from '../platform/archive/archive-store.ts'
import { complaintAbout, openStore } from '../platform/archive/open-store.ts'
import { hasEmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { urlComplaint } from '../platform/safe-url.ts'
import { type PlaceOptions, placeFlags } from './archive-options.ts'
import { type Config, ConfigError } from './config.ts'
import { noInstallation } from './foundation.ts'
import { knownMasterKey, notedOther, sealedWithAnother } from './master-key.ts'
import { readNamedFile } from './named-file.ts'

/** Throws ConfigError for a place or an endpoint that is none, and for options that say nothing of a directory. */
export function archiveStore(place: string, given: PlaceOptions): ArchiveStore {
  const complaint = complaintAbout(place)
  if (complaint) throw new ConfigError([`${JSON.stringify(place)} is no place of an archive: ${complaint}`])
  const stray = place.startsWith('s3://') ? [] : placeFlags(given)
  if (stray.length > 0)
    throw new ConfigError(stray.map((flag) => `${flag}: goes with s3://bucket/prefix, and ${place} is a directory`))
  const { endpoint, region, pathStyle } = given
  const wrong = endpoint === undefined ? undefined : urlComplaint(endpoint)
  if (wrong !== undefined) throw new ConfigError([`--endpoint: ${wrong}`])
  return openStore(place, { endpoint, region, isPathStyle: pathStyle === true })
}

/** Throws ConfigError where this installation has not its master key: another would sign in the name of nobody. */
export async function archiveSigner(config: Config): Promise<Signer> {
  const masterKey = await knownMasterKey(config)
  if (!masterKey && config.postgresUrl === undefined && !(await hasEmbeddedDatabase(config.dataDir)))
    throw noInstallation(config)
  if (!masterKey || (await notedOther(config, masterKey)))
    throw new ConfigError([`PF3_MASTER_KEY_FILE: ${sealedWithAnother(config, masterKey)}`])
  return signerFrom(await masterKey.derive('archive signature'))
}

/** Of the file, or of this installation, which is the one that signs. */
export async function archivePublicKey(config: Config, file: string | undefined): Promise<KeyObject> {
  if (file === undefined) return publicKeyOf(await archiveSigner(config))
  const key = publicKeyFrom(await readNamedFile('--public-key', file))
  if (key?.asymmetricKeyType !== 'ed25519')
    throw new ConfigError([`--public-key: ${file} is no Ed25519 public key in PEM`])
  return key
}

function publicKeyFrom(text: Buffer): KeyObject | undefined {
  try {
    return createPublicKey(text)
  } catch {
    return undefined
  }
}

/** Of how many partitions the archive is. Throws ConfigError, which names `option`, for a place that has nothing of one. */
export async function archivedPartitions(
  reader: ArchiveReader,
  { place }: ArchiveStore,
  option: string,
): Promise<number> {
  const partitions = await reader.partitions()
  if (partitions === undefined) throw new ConfigError([`${option}: there is nothing in ${place}`])
  return partitions
}
