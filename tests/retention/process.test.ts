/** An erasure as an operator sees it: a real process, its log, the bytes on its disk, and a copy that was taken before. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { apiClient } from '../../bin/demo/api-client.ts'
import { cleanEnv, pf3Path, startServiceProcess } from '../../bin/demo/service-process.ts'
import { systemClock, systemRandom } from '../../platform/clock.ts'
import { openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { localMasterKeyFile } from '../../platform/vault/master-key.ts'
import { payloadVault } from '../../platform/vault/payload-vault.ts'
import { wholeDump } from './whole-dump.ts'

const run = promisify(execFile)
const canaries = 1_000
const mark = `canary-${randomBytes(6).toString('hex')}-`
const page = join(import.meta.dirname, '../../docs/retention.md')

async function filesWith(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const found: string[] = []
  for (const path of paths) if ((await readFile(path)).includes(text)) found.push(path)
  return found
}

test(`of ${canaries} canaries none stands in the log, on the disk or in an old copy; ledger and replay stay`, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-erased-'))
  const copy = await mkdtemp(join(tmpdir(), 'pf3-copy-'))
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  let logged = ''
  const start = () =>
    startServiceProcess({
      dataDir,
      port: 0,
      rootToken,
      env: { PF3_LOG_LEVEL: 'debug' },
      onLog(text) {
        logged += text
      },
    })
  let service = await start()
  const client = apiClient(() => service.url, 8)
  onTestFinished(async () => {
    client.close()
    if (!service.hasEnded()) await service.stop()
    await rm(dataDir, { recursive: true, force: true })
    await rm(copy, { recursive: true, force: true })
  })
  const asRoot = <Body>(path: string, body: object) =>
    client.mustAsk<Body>(rootToken, {
      method: 'POST',
      path,
      body,
      headers: { 'X-PF3-Justification': 'set-up of a test' },
    })
  await asRoot('/v1/tenants', { id: 'harbor', level: 'client', name: 'Harbor', currency: 'USD', timeZone: 'UTC' })
  const { token } = await asRoot<{ token: string }>('/v1/tenants/harbor/tokens', { role: 'tenant-admin' })
  const ask = <Body>(method: 'GET' | 'POST' | 'PUT', path: string, body?: object) =>
    client.mustAsk<Body>(token, { method, path, ...(body && { body }) })
  const period = new Date().toISOString().slice(0, 7)
  const ledger = () => ask<{ lines: unknown[] }>('GET', `/v1/billing/ledger?period=${period}&limit=1000`)

  // In label sets, inputs, results, and what is refused.
  await ask('PUT', '/v1/label-sets/marks', {
    labels: ['yes', 'no'],
    examples: [
      { text: `${mark}0`, label: 'yes' },
      { text: `${mark}1`, label: 'no' },
    ],
  })
  const job = (n: number) => ({
    capability: 'classify.category',
    params: { labelSetId: 'marks' },
    input: { text: `${mark}${n}` },
  })
  const jobs = Array.from({ length: canaries - 2 }, (_, n) => job(n + 2))
  const { results } = await ask<{ results: { id: string }[] }>('POST', '/v1/jobs/batch', { jobs })
  for (const [at, bad] of [
    { ...job(7), [`${mark}8`]: 1 },
    { ...job(7), input: { text: [`${mark}9`] } },
  ].entries())
    expect([at, (await client.ask(token, { method: 'POST', path: '/v1/jobs', body: bad })).status]).toEqual([at, 400])
  const ids = results.map(({ id }) => id)
  for (const id of ids)
    expect(await ask('GET', `/v1/jobs/${id}?wait=60`)).toMatchObject({ status: 'succeeded', result: {} })
  const before = await ledger()
  await service.stop()
  await cp(dataDir, copy, { recursive: true })

  service = await start()
  const requests = [...(await readFile(page, 'utf8')).matchAll(/```http\n(GET|POST|PUT) (\S+)\n?([\s\S]*?)```/g)]
  expect(requests.length).toBeGreaterThan(1)
  const answers: { id?: string; contentDays?: number }[] = []
  for (const [, method, path, body] of requests)
    answers.push(
      await ask(method as 'GET' | 'POST' | 'PUT', path ?? '', body ? (JSON.parse(body) as object) : undefined),
    )
  expect(answers[0]).toMatchObject({ contentDays: 7 })
  const erasure = () => ask('GET', `/v1/tenants/harbor/erasures/${answers[1]?.id}`)
  await expect.poll(erasure, { timeout: 30_000 }).toMatchObject({ status: 'done' })
  for (const id of ids.slice(0, 20))
    expect(await client.ask(token, { method: 'GET', path: `/v1/jobs/${id}/result` })).toMatchObject({
      status: 410,
      body: { code: 'VAULT_MISSING' },
    })
  expect(await ledger()).toEqual(before)
  const { stdout } = await run(
    process.execPath,
    [pf3Path, 'replay', '--tenant', 'harbor', '--period', period, '--diff'],
    { env: cleanEnv({ PF3_DATA_DIR: dataDir, PATH: dirname(process.execPath) }) },
  )
  expect(stdout).toContain('No differences.')
  await service.stop()

  expect(logged).toContain('"level"')
  expect(logged).not.toContain(mark)
  expect([await filesWith(dataDir, mark), await filesWith(copy, mark)]).toEqual([[], []])

  // The copy: closed without its table of keys, as closed without the master key, and open with both, as the page says.
  const database = await openEmbeddedDatabase({ dataDir: copy })
  try {
    expect((await wholeDump(database)).text).not.toContain(mark)
    const { rows } = await database.asService((tx) =>
      tx.query<{ ref: string }>("SELECT ref FROM vault_payload WHERE tenant_id = 'harbor' AND class = 'day'"),
    )
    const refs = rows.map(({ ref }) => ref)
    expect(refs.length).toBeGreaterThanOrEqual(canaries - 2)
    const masterKey = await localMasterKeyFile(join(copy, 'master.key'))
    const open = (master = masterKey) =>
      payloadVault({ database, masterKey: master, clock: systemClock, random: systemRandom }).get('harbor', refs)
    expect((await open()).size).toBe(refs.length)
    await expect(open(await localMasterKeyFile(join(copy, 'another.key')))).rejects.toMatchObject({
      code: 'VAULT_DAMAGED',
    })
    await database.asService((tx) => tx.query('DELETE FROM vault_key'))
    expect((await open()).size).toBe(0)
  } finally {
    await database.close()
  }
}, 240_000)
