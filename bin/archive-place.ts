/** The archive a command is about: where it lies, and the key that its manifests are signed with. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type ArchiveReader, publicKeyOf, type Signer, signerFrom } from '../platform/archive/archive.ts'
import type { ArchiveStore } from '../platform/archive/archive-store.ts'
import { complaintAbout, openStore } from '../platform/archive/open-store.ts'
import { localMasterKeyFile } from '../platform/vault/master-key.ts'
import type { PlaceOptions } from './archive-options.ts'
import { type Config, ConfigError } from './config.ts'

/** Throws ConfigError for a place that is none. */
export function archiveStore(place: string, { endpoint, region, pathStyle }: PlaceOptions): ArchiveStore {
  const complaint = complaintAbout(place)
  if (complaint) throw new ConfigError([`${JSON.stringify(place)} is no place of an archive: ${complaint}`])
  return openStore(place, { endpoint, region, isPathStyle: pathStyle === true })
}

export async function archiveSigner({ masterKeyFile }: Config): Promise<Signer> {
  const masterKey = await localMasterKeyFile(masterKeyFile)
  return signerFrom(await masterKey.derive('archive signature'))
}

/** Of the file, or of this installation, which is the one that signs. */
export async function archivePublicKey(config: Config, file: string | undefined): Promise<KeyObject> {
  if (file === undefined) return publicKeyOf(await archiveSigner(config))
  try {
    const key = createPublicKey(await readFile(file))
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below.
  }
  throw new ConfigError([`--public-key: ${file} is no Ed25519 public key in PEM`])
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
