/** A master key that is lost, or another one in its place: neither start nor doctor takes it for the one of the installation. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { apiClient } from '../../bin/demo/api-client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import { actors } from '../e2e/stage.ts'
import { runPf3 } from '../machine/run-pf3.ts'

const rootToken = `pf3_${'k'.repeat(43)}`
const labelSet = { labels: ['yes', 'no'], examples: ['yes', 'no'].map((label) => ({ text: `it is ${label}`, label })) }

async function installation(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-key-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

/** Runs a service until `use` is done. */
async function serving(dataDir: string, use: (client: ReturnType<typeof apiClient>) => Promise<unknown>) {
  const service = await startServiceProcess({ dataDir, port: 0, rootToken })
  const client = apiClient(() => service.url, 2)
  try {
    await use(client)
  } finally {
    client.close()
    await service.stop()
  }
}

test('once something is sealed, no start goes on without the key or with another, and doctor says so', async () => {
  const dataDir = await installation()
  const keyFile = join(dataDir, 'master.key')

  await serving(dataDir, async (client) => {
    const { token } = await actors(client, rootToken).tenant('harbor')
    await client.mustAsk(token, { method: 'PUT', path: '/v1/label-sets/marks', body: labelSet })
  })
  const env = { PF3_DATA_DIR: dataDir, PF3_PORT: '0', PF3_ROOT_TOKEN: rootToken, PF3_LOG_LEVEL: 'silent' }
  const refused = (said: string) => ({ code: 2, stdout: '', stderr: expect.stringContaining(said) })
  const right = await readFile(keyFile)
  const missing = `sealed with a key that is not there; restore your copy of ${keyFile}`
  const another = `sealed with another key than that in ${keyFile}; restore your copy of the right one`

  await rm(keyFile)
  expect(await runPf3(['start'], env)).toEqual(refused(missing))
  expect(await runPf3(['doctor'], env)).toMatchObject({ code: 1, stdout: expect.stringContaining(missing) })
  expect(await runPf3(['archive', 'write', '--to', join(dataDir, 'archive')], env)).toEqual(refused(missing))
  await expect(readFile(keyFile), 'none is made').rejects.toMatchObject({ code: 'ENOENT' })

  await writeFile(keyFile, randomBytes(32), { mode: 0o600 })
  expect(await runPf3(['start'], env)).toEqual(refused(another))
  expect(await runPf3(['doctor'], env)).toMatchObject({ code: 1, stdout: expect.stringContaining(another) })
  await rm(join(dataDir, 'master-key.id')) // As a build before this one left it.
  expect(await runPf3(['start'], env)).toEqual(refused(another))

  await writeFile(keyFile, right)
  await serving(dataDir, (client) => client.mustAsk(rootToken, { method: 'GET', path: '/v1/price-books' }))
  expect(await runPf3(['doctor'], env)).toMatchObject({ code: 0 })
})

test('a key that others may read ends the start with what to do', async () => {
  const dataDir = await installation()
  const keyFile = join(dataDir, 'master.key')
  await writeFile(keyFile, randomBytes(32))
  await chmod(keyFile, 0o644)
  expect(await runPf3(['start'], { PF3_DATA_DIR: dataDir, PF3_PORT: '0', PF3_LOG_LEVEL: 'silent' })).toEqual({
    code: 2,
    stdout: '',
    stderr: `Configuration:\n- PF3_MASTER_KEY_FILE: ${keyFile}: the master key file has mode 644; only its owner may have access (600)\n`,
  })
})
