/** A thousand retries of one key at once, over real connections, with the service killed and started again among them. */
import { expect, test } from 'vitest'
import { tenantFigures } from '../../bin/demo/figures.ts'
import { jobClient } from '../../bin/demo/job-client.ts'
import { stage } from '../e2e/stage.ts'

const retries = 1_000
const connections = 250

test(`${retries} retries of one key over ${connections} connections and a SIGKILL: one job, one charge, one answer`, async () => {
  const { client, tenant, restart } = await stage({ connectionsMax: connections })
  const { id, token } = await tenant('harbor')
  const jobs = jobClient(client)
  const wanted = { token, key: 'same', body: { capability: 'classify.sentiment', input: { text: 'So so.' } } }
  let answered = 0
  const killAfter = retries / 4
  let restarted: Promise<void> | undefined
  const taken = await Promise.all(
    Array.from({ length: retries }, async () => {
      const job = await jobs.submit(wanted)
      if (++answered === killAfter) restarted = restart()
      return job
    }),
  )
  await restarted
  expect(jobs.repeats()).toBeGreaterThan(0)
  expect(new Set(taken.map((job) => job.id)).size).toBe(1)
  const ends = await Promise.all(taken.map(() => jobs.run(wanted)))
  expect(new Set(ends.map((end) => JSON.stringify(end))).size).toBe(1)
  expect(ends[0]?.status).toBe('succeeded')
  const asked = { method: 'POST', path: '/v1/jobs', headers: { 'idempotency-key': 'same' } } as const
  const other = { ...asked, body: { ...wanted.body, priority: 1 } }
  expect(await client.ask(token, other)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_CONFLICT' } })
  const figures = await tenantFigures(client, token, id, new Date().toISOString().slice(0, 10))
  expect(figures.jobs).toEqual({ succeeded: 1 })
  expect(figures).toMatchObject({ usedJobs: 1, ledgerJobs: 1 })
}, 120_000)
