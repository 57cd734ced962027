/** Two API processes on one PostgreSQL server: nothing but its tables and the master key is shared between them. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiClient, apiClient } from '../../bin/demo/api-client.ts'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { jobClient } from '../../bin/demo/job-client.ts'
import { type ServiceProcess, startServiceProcess } from '../../bin/demo/service-process.ts'
import { type FreshDatabase, freshDatabase } from '../postgres/fresh-database.ts'

const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
const connections = 50
let fresh: FreshDatabase
let dir: string
let doors: { service: ServiceProcess; client: ApiClient }[]
beforeAll(async () => {
  fresh = await freshDatabase()
  dir = await mkdtemp(join(tmpdir(), 'pf3-two-'))
  const open = async (roles: string) => {
    const env = { PF3_POSTGRES_URL: fresh.url, PF3_MASTER_KEY_FILE: join(dir, 'master.key') }
    const service = await startServiceProcess({ dataDir: join(dir, roles), port: 0, rootToken, env, roles })
    return { service, client: apiClient(() => service.url, connections) }
  }
  doors = [await open('api,owner,projections'), await open('api')]
})
afterAll(async () => {
  for (const { service, client } of doors.toReversed()) {
    client.close()
    await service.stop()
  }
  await fresh.drop()
  await rm(dir, { recursive: true, force: true })
})

test('1,000 retries of one key through two processes make one job, and both tell the same of it', async () => {
  const [first, second] = doors
  if (!first || !second) throw new Error('There are not two doors.')
  const asRoot = <Body>(path: string, body: object) =>
    first.client.mustAsk<Body>(rootToken, {
      method: 'POST',
      path,
      body,
      headers: { 'X-PF3-Justification': 'set-up of a test' },
    })
  await asRoot('/v1/tenants', { id: 'harbor', level: 'client', name: 'Harbor', currency: 'USD', timeZone: 'UTC' })
  const { token } = await asRoot<{ token: string }>('/v1/tenants/harbor/tokens', { role: 'tenant-admin' })
  const wanted = { token, key: 'same', body: { capability: 'classify.sentiment', input: { text: 'So so.' } } }
  const clients = [jobClient(first.client), jobClient(second.client)]
  const taken = await Promise.all(Array.from({ length: 1_000 }, (_, i) => clients[i % 2]?.submit(wanted)))
  expect(new Set(taken.map((job) => job?.id)).size).toBe(1)
  const ends = await Promise.all(clients.map((jobs) => jobs.run(wanted)))
  expect(ends[0]).toMatchObject({ status: 'succeeded' })
  expect(ends[1]).toEqual(ends[0])
  const other = { ...wanted, body: { ...wanted.body, priority: 1 } }
  for (const jobs of clients) await expect(jobs.submit(other)).rejects.toThrow('IDEMPOTENCY_CONFLICT')
  const figures = await tenantFigures(second.client, token, 'harbor', new Date().toISOString().slice(0, 10))
  expect(figures.jobs).toEqual({ succeeded: 1 })
  expect(figures).toMatchObject({ usedJobs: 1, ledgerJobs: 1 })
})
