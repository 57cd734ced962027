/** What a command says where there is no installation: a wrong PF3_DATA_DIR must not look like an empty one. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { runPf3 } from '../machine/run-pf3.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pf3-nowhere-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

test.each([
  'replay --tenant harbor --period 2026-11',
  'replay --tenant harbor --period 2026-11 --diff',
  'projections rebuild --all',
  'events export --to DIR/export',
  'events tail --from-start',
  'archive write --to DIR/archive',
  'archive check --from DIR/archive',
])('%s ends with 2, says where it looked, and leaves nothing behind', async (command) => {
  const args = command.replace('DIR', dir).split(' ')
  expect(await runPf3(args, { PF3_DATA_DIR: join(dir, 'data') })).toEqual({
    code: 2,
    stdout: '',
    stderr: `Configuration:\n- there is no installation in ${join(dir, 'data')}; PF3_DATA_DIR says where it is\n`,
  })
  expect(await readdir(dir)).toEqual([])
})

test('an archive is checked by its public key without an installation', async () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const key = join(dir, 'archive.pem')
  await writeFile(key, publicKey.export({ format: 'pem', type: 'spki' }))
  const said = await runPf3(['archive', 'check', '--from', dir, '--public-key', key], {
    PF3_DATA_DIR: join(dir, 'data'),
  })
  expect(said.stderr).not.toContain('installation')
  expect(await readdir(dir)).toEqual(['archive.pem'])
})
