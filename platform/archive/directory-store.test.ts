import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { directoryStore } from './directory-store.ts'
import { storeContract } from './store-contract.ts'

storeContract('directory', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-store-'))
  return {
    store: directoryStore(join(dir, 'archive')),
    another: () => directoryStore(join(dir, 'archive')),
    close: () => rm(dir, { recursive: true }),
  }
})

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-store-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return dir
}

test('files are for their owner alone, and no draft stays', async () => {
  const dir = await freshDir()
  await directoryStore(dir).putIfAbsent('a/b', Buffer.from('x'))
  expect((await stat(join(dir, 'a/b'))).mode & 0o777).toBe(0o600)
  expect(await readdir(join(dir, '.drafts'))).toEqual([])
})

test('the draft of a killed writer is no part of the archive and goes away with time; a young one stays', async () => {
  const dir = await freshDir()
  await mkdir(join(dir, '.drafts'))
  await writeFile(join(dir, '.drafts', 'old'), 'half')
  await utimes(join(dir, '.drafts', 'old'), 1_000, 1_000)
  await writeFile(join(dir, '.drafts', 'young'), 'half')
  const store = directoryStore(dir)
  await store.putIfAbsent('a', Buffer.from('x'))
  expect(await readdir(join(dir, '.drafts'))).toEqual(['young'])
  const names: string[] = []
  for await (const { name } of store.list('')) names.push(name)
  expect(names).toEqual(['a'])
})

test('a place that is a file is unavailable, and is left alone', async () => {
  const path = join(await freshDir(), 'file')
  await writeFile(path, 'mine')
  await expect(directoryStore(path).putIfAbsent('a', Buffer.from('x'))).rejects.toMatchObject({
    code: 'ARCHIVE_UNAVAILABLE',
    facts: { place: path },
  })
  expect(await readFile(path, 'utf8')).toBe('mine')
})
