/** What a start says where it cannot keep its data. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { runPf3 } from '../machine/run-pf3.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-nowhere-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

test('a place where no data directory can be ends the start with 2, and says so', async () => {
  await writeFile(join(dir, 'file'), '')
  // Node.js's own way to make it would never end in /proc.
  for (const path of [join(dir, 'file'), '/proc/none'])
    expect(await runPf3(['start'], { PF3_DATA_DIR: path, PF3_PORT: '0', PF3_LOG_LEVEL: 'silent' })).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(`PF3_DATA_DIR: no directory can be had at ${path}: E`),
    })
})
