/** What a command is given and cannot follow ends it with 2, in words that say what to give instead. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { runPf3 } from '../machine/run-pf3.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-usage-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

test.each([
  ['replay --tenant a --period 2026-11 --public-key key.pem', '--public-key: goes with --archive'],
  ['replay --tenant a --period 2026-11 --region eu', '--region: goes with --archive'],
  ['archive write --to DIR --endpoint https://s3.example --path-style', '--path-style: goes with s3://bucket/prefix'],
  ['projections rebuild ledger --all', 'either --all or "ledger" was expected'],
])('%s', async (command, said) => {
  const inDir = (text: string) => text.replaceAll('DIR', dir)
  const { code, stderr } = await runPf3(inDir(command).split(' '), { PF3_DATA_DIR: join(dir, 'data') })
  expect(stderr).toContain(inDir(said))
  expect(code).toBe(2)
})
