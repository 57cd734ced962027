/** Claim-then-lose, the classic bug of idempotency keys: the process dies between the row of a job and its request. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { apiClient } from '../../bin/demo/api-client.ts'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { jobClient } from '../../bin/demo/job-client.ts'
import { type ServiceProcess, startServiceProcess } from '../../bin/demo/service-process.ts'
import { jobIdFrom, keyOfJob } from '../../schemas/ids.ts'

const victim = join(import.meta.dirname, 'testing', 'dying-service.ts')

test.each([
  // Only the door lives in the victim: an owner beside it could take the request in before the door is dead.
  { dies: 'before', what: 'the row is written and the log has nothing' },
  { dies: 'after', what: 'the log has the request and nobody was told' },
])('killed when $what: after a restart the same key makes exactly that job, charged once', async ({ dies }) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-killed-'))
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  let service: ServiceProcess = await startServiceProcess({ dataDir, port: 0, rootToken })
  const client = apiClient(() => service.url, 4)
  onTestFinished(async () => {
    client.close()
    if (!service.hasEnded()) await service.stop()
    await rm(dataDir, { recursive: true, force: true })
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
  await service.stop()

  service = await startServiceProcess({
    dataDir,
    port: 0,
    rootToken,
    script: victim,
    env: { DIES: dies },
    roles: 'api,projections',
  })
  const wanted = { token, key: 'order-17', body: { capability: 'classify.sentiment', input: { text: 'What a day!' } } }
  const asked = {
    method: 'POST',
    path: '/v1/jobs',
    body: wanted.body,
    headers: { 'idempotency-key': wanted.key },
  } as const
  await expect(client.ask(token, asked)).rejects.toThrow()
  await service.kill()

  service = await startServiceProcess({ dataDir, port: 0, rootToken })
  const other = { ...asked, body: { ...wanted.body, input: { text: 'Another text.' } } }
  expect(await client.ask(token, other)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_CONFLICT' } })
  const job = await jobClient(client).run(wanted)
  expect(keyOfJob(job.id)).toBe(keyOfJob(jobIdFrom('harbor', 'order-17', 0)))
  expect(job.status).toBe('succeeded')
  const again = await jobClient(client).run(wanted)
  expect(again).toEqual(job)
  const figures = await tenantFigures(client, token, 'harbor', new Date().toISOString().slice(0, 10))
  expect(figures.jobs).toEqual({ succeeded: 1 })
  expect(figures).toMatchObject({ usedJobs: 1, ledgerJobs: 1 })
  expect(figures.ledgerPico).toBe(figures.usageChargedPico)
})
