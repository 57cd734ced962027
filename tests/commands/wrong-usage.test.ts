/** What a command is given and cannot follow ends it with 2, in words that say what to give instead. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import aboutPackage from '../../package.json' with { type: 'json' }
import { openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { runPf3 } from '../machine/run-pf3.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-usage-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

test.each([
  ['replay --tenant a --period 2026-11 --public-key key.pem', '--public-key: goes with --archive'],
  ['replay --tenant a --period 2026-11 --region eu', '--region: goes with --archive'],
  ['replay --tenant a --period 2026-11 --price-book DIR/none', '--price-book: DIR/none cannot be read: ENOENT'],
  ['archive write --to DIR --endpoint https://s3.example --path-style', '--path-style: goes with s3://bucket/prefix'],
  [
    'archive write --to s3://facts --endpoint http://s3.example',
    '--endpoint: an https URL, or an http one on loopback',
  ],
  ['archive write --to s3://facts --endpoint nowhere', '--endpoint: an https URL, or an http one on loopback'],
  ['archive write --to s3://facts --endpoint https://u:p@s3.example', '--endpoint: an address without user'],
  ['archive check --from DIR --public-key DIR/none', '--public-key: DIR/none cannot be read: ENOENT'],
  ['projections rebuild ledger --all', 'either --all or "ledger" was expected'],
  ['help nope', "error: unknown command 'nope'"],
  ['events help nope', "error: unknown command 'nope'"],
])('%s', async (command, said) => {
  const inDir = (text: string) => text.replaceAll('DIR', dir)
  const { code, stderr } = await runPf3(inDir(command).split(' '), { PF3_DATA_DIR: join(dir, 'data') })
  expect(stderr).toContain(inDir(said))
  expect(code).toBe(2)
})

test('a directory that is there is not exported into', async () => {
  const database = await openEmbeddedDatabase({ dataDir: join(dir, 'data') })
  await database.close()
  await mkdir(join(dir, 'export'))
  const { code, stderr } = await runPf3(['events', 'export', '--to', join(dir, 'export')], {
    PF3_DATA_DIR: join(dir, 'data'),
  })
  expect(stderr).toContain(`--to: ${join(dir, 'export')} is there already`)
  expect(code).toBe(2)
})

test.each([
  ['--version', `${aboutPackage.version}\n`],
  ['help', expect.stringContaining('Usage: pf3 [options] [command]')],
  ['help events tail', expect.stringContaining('Usage: pf3 events tail')],
])('%s', async (command, stdout) => {
  expect(await runPf3(command.split(' '))).toEqual({ code: 0, stdout, stderr: '' })
})
