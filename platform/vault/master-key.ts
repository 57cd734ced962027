/**
 * The key at the top of the vault's chain. A key service keeps it where PF-3 cannot read it; the embedded default keeps
 * it in a file beside, never inside, the database.
 */
import { type FileHandle, link, open as openFile, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Random } from '../clock.ts'
import { systemRandom } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import { makeDir } from '../make-dir.ts'
import { derivedKey, keyBytes, keyFrom, open, seal } from './sealing.ts'

export type MasterKey = {
  /** Which master key it is; stored beside what it wraps, reveals nothing of it. */
  readonly id: string
  /** Encrypts a key. `context` must be given again to unwrap it. */
  wrap(key: Uint8Array, context: readonly string[]): Promise<Uint8Array>
  /** The key, or undefined when it was wrapped under another master key or context, or is damaged. */
  unwrap(wrapped: Uint8Array, context: readonly string[]): Promise<Uint8Array | undefined>
  /** 32 bytes for one purpose, the same in every process that has the master key. */
  derive(purpose: string): Promise<Uint8Array>
}

/** A master key held in memory; `secret` is 32 bytes. */
export function masterKeyFrom(secret: Uint8Array, random: Random = systemRandom): MasterKey {
  if (secret.byteLength !== keyBytes)
    throw new PlatformError('VAULT_DAMAGED', { problem: 'a master key has 32 bytes', bytes: secret.byteLength })
  const master = keyFrom(secret)
  const wrapping = keyFrom(derivedKey(master, ['pf3-master', 'wrap']))
  return {
    id: `local-${derivedKey(master, ['pf3-master', 'id']).toString('hex').slice(0, 16)}`,
    wrap: async (key, context) => seal(wrapping, key, context, random),
    unwrap: async (wrapped, context) => open(wrapping, wrapped, context),
    derive: async (purpose) => derivedKey(master, ['pf3-master', 'derive', purpose]),
  }
}

/**
 * The master key in a file of 32 bytes that only its owner may read. Where there is none, one is made: written beside,
 * synced, and linked into place, so that a file is there whole or not at all and of two processes one wins. Whoever
 * loses the file loses every payload. Throws VAULT_DAMAGED for a file of another size or kind, or that others may read.
 */
export async function localMasterKeyFile(path: string, random: Random = systemRandom): Promise<MasterKey> {
  const known = await existingMasterKey(path, random)
  if (known) return known
  await makeKeyFile(path, random)
  const made = await existingMasterKey(path, random)
  if (!made) throw new PlatformError('VAULT_DAMAGED', { problem: 'the master key file vanished', path })
  return made
}

/** As `localMasterKeyFile`, but undefined where there is no file. */
export async function existingMasterKey(path: string, random: Random = systemRandom): Promise<MasterKey | undefined> {
  const secret = await readKeyFile(path)
  return secret && masterKeyFrom(secret, random)
}

async function readKeyFile(path: string): Promise<Uint8Array | undefined> {
  let file: FileHandle
  try {
    file = await openFile(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    const { mode, size } = await file.stat()
    const bad = (problem: string) => new PlatformError('VAULT_DAMAGED', { problem, path })
    if ((mode & 0o170_000) !== 0o100_000) throw bad('the master key is not a regular file')
    if ((mode & 0o077) !== 0)
      throw bad(`the master key file has mode ${(mode & 0o777).toString(8)}; only its owner may have access (600)`)
    if (size !== keyBytes) throw bad(`the master key file has ${size} bytes, not ${keyBytes}`)
    const secret = Buffer.alloc(keyBytes)
    const { bytesRead } = await file.read(secret, 0, keyBytes, 0)
    if (bytesRead !== keyBytes) throw bad('the master key file could not be read whole')
    return secret
  } finally {
    await file.close()
  }
}

async function makeKeyFile(path: string, random: Random): Promise<void> {
  const folder = dirname(path)
  await makeDir(folder)
  const beside = join(folder, `.${basename(path)}.${Buffer.from(random.bytes(8)).toString('hex')}`)
  const file = await openFile(beside, 'wx', 0o600)
  try {
    await file.writeFile(random.bytes(keyBytes))
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(beside, path)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error // Another process was first; its key counts.
  } finally {
    await unlink(beside)
  }
  const directory = await openFile(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code
