import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemRandom } from '../clock.ts'
import { localMasterKeyFile, masterKeyFrom } from './master-key.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pf3-master-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('the file is made once, for its owner alone, and found again', async () => {
  const path = join(folder, 'deep', 'master.key')
  const made = await localMasterKeyFile(path)
  const { mode, size } = await stat(path)
  expect([mode & 0o777, size]).toEqual([0o600, 32])
  expect(await readdir(join(folder, 'deep'))).toEqual(['master.key'])

  const found = await localMasterKeyFile(path)
  expect(found.id).toBe(made.id)
  expect(await found.unwrap(await made.wrap(new Uint8Array(32).fill(7), ['a']), ['a'])).toEqual(Buffer.alloc(32, 7))
})

test('of many that make it at once, all have the one that is kept', async () => {
  const path = join(folder, 'master.key')
  const keys = await Promise.all(Array.from({ length: 16 }, () => localMasterKeyFile(path)))
  expect(new Set(keys.map((key) => key.id)).size).toBe(1)
  expect(await readdir(folder)).toEqual(['master.key'])
  expect(keys[0]?.id).toBe(masterKeyFrom(await readFile(path)).id)
})

test.each([0o640, 0o604, 0o660, 0o602, 0o610])('mode %o is refused', async (mode) => {
  const path = join(folder, 'master.key')
  await writeFile(path, systemRandom.bytes(32), { mode: 0o600 })
  await chmod(path, mode)
  await expect(localMasterKeyFile(path)).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
})

test.each([0, 31, 33])('a file of %i bytes is refused and left alone', async (size) => {
  const path = join(folder, 'master.key')
  await writeFile(path, systemRandom.bytes(size), { mode: 0o600 })
  await expect(localMasterKeyFile(path)).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
  expect((await stat(path)).size).toBe(size)
})

test('a directory is no key', async () => {
  await mkdir(join(folder, 'master.key'), { mode: 0o700 })
  await expect(localMasterKeyFile(join(folder, 'master.key'))).rejects.toMatchObject({ code: 'VAULT_DAMAGED' })
})

test('a wrapped key opens only under the same master key and context', async () => {
  const [one, two] = [masterKeyFrom(systemRandom.bytes(32)), masterKeyFrom(systemRandom.bytes(32))]
  const wrapped = await one.wrap(new Uint8Array(32), ['a', 'bc'])
  expect(await one.unwrap(wrapped, ['a', 'bc'])).toHaveLength(32)
  expect(await one.unwrap(wrapped, ['ab', 'c'])).toBeUndefined()
  expect(await one.unwrap(wrapped, ['a', 'bc', ''])).toBeUndefined()
  expect(await two.unwrap(wrapped, ['a', 'bc'])).toBeUndefined()
})

test('what is derived is the same in every process, and another for every purpose and master key', async () => {
  const secret = systemRandom.bytes(32)
  const derived = await masterKeyFrom(secret).derive('submissions')
  expect(await masterKeyFrom(secret).derive('submissions')).toEqual(derived)
  expect(await masterKeyFrom(secret).derive('other')).not.toEqual(derived)
  expect(await masterKeyFrom(systemRandom.bytes(32)).derive('submissions')).not.toEqual(derived)
  expect(derived).toHaveLength(32)
})

test('a master key of another size is refused', () => {
  expect(() => masterKeyFrom(new Uint8Array(16))).toThrow('VAULT_DAMAGED')
})
