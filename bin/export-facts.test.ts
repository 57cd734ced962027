/** Where an export cannot be written, it says so, and leaves nothing open. */
import { mkdirSync, symlinkSync } from 'node:fs'
import { access, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { history, testCodec, writeHistory } from '../projections/testing/history.ts'
import { newLog } from '../projections/testing/stage.ts'
import { exportFacts } from './export-facts.ts'

/** Of the files below a directory. */
async function openFiles(dir: string): Promise<string[]> {
  const numbers = await readdir('/proc/self/fd')
  const paths = await Promise.all(numbers.map((one) => readlink(`/proc/self/fd/${one}`).catch(() => '')))
  return paths.filter((path) => path.startsWith(dir))
}

test.each([
  ['a disk that is full', '/dev/full', 'ENOSPC'],
  ['a directory that vanishes', '/nowhere/at-all', 'ENOENT'],
])('%s ends an export', async (_, target, code) => {
  const parent = await mkdtemp(join(tmpdir(), 'pf3-export-'))
  onTestFinished(() => rm(parent, { recursive: true }))
  const dir = join(parent, 'export')
  const log = newLog()
  await writeHistory(log, history({ seed: 1, jobs: 1_000, partitionCount: 2 }))
  let isLinked = false
  const exported = exportFacts(
    { log, codec: testCodec },
    {
      dir,
      // Before the first file is opened: what should become one leads elsewhere.
      pass(fact) {
        if (!isLinked)
          for (const partition of [0, 1]) {
            mkdirSync(join(dir, `jobs-${partition}`))
            symlinkSync(target, join(dir, `jobs-${partition}`, 'JobAdmitted.avro'))
          }
        isLinked = true
        return fact
      },
    },
  )
  await expect(exported).rejects.toMatchObject({ code })
  expect(await openFiles(dir)).toEqual([])
  expect(await openFiles(target)).toEqual([])
  await expect(access(join(dir, 'manifest.json'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('an export that cannot read on has no file open', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'pf3-export-'))
  onTestFinished(() => rm(parent, { recursive: true }))
  const log = newLog()
  await writeHistory(log, history({ seed: 1, jobs: 10, partitionCount: 2 }))
  let facts = 0
  const exported = exportFacts(
    { log, codec: testCodec },
    {
      dir: join(parent, 'export'),
      pass(fact) {
        if (++facts === 20) throw new Error('no further')
        return fact
      },
    },
  )
  await expect(exported).rejects.toThrow('no further')
  expect(await openFiles(parent)).toEqual([])
})
