import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { makeDir } from './make-dir.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-make-dir-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

test('it is made with what is missing above it, for its owner alone; a second time changes nothing', async () => {
  const path = join(dir, 'a', 'b')
  await Promise.all([makeDir(path), makeDir(path)])
  for (const made of [path, join(dir, 'a')]) expect((await stat(made)).mode & 0o777).toBe(0o700)
  await makeDir(path)
})

test('where something else is in its place or above it, it says so', async () => {
  await writeFile(join(dir, 'file'), '')
  await expect(makeDir(join(dir, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(makeDir(join(dir, 'file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' })
})

test('a place where none can be made ends with an error', async () => {
  await expect(makeDir('/dev/null/none')).rejects.toThrow()
  // Says that something is missing, though everything above is there. Elsewhere than on Linux it may be missing.
  await expect(makeDir('/proc/none/none')).rejects.toThrow()
})
