/** The door when it stops, when its callers leave, and when what stands behind it fails. */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock, systemRandom } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { Log } from '../platform/log/log.ts'
import { simulatedLog } from '../platform/log/simulated.ts'
import { inProcessRelay } from '../platform/relay/relay.ts'
import { clientOf } from './testing/client.ts'
import { openTenant, rootToken, type Service, startService } from './testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
const endless = { capability: 'generate.text', input: { prompt: 'for ever' } }
const figure = async (url: string, name: string): Promise<number> => {
  const { text } = await clientOf(url, undefined).get('/metrics')
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}
const underWay = 'pf3_http_requests_under_way'
const soon = { timeout: 20_000 }

test('a stop answers long polls early, with what they know, and takes nobody new', async () => {
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const { api, url } = await service.openDoor()
  const submitter = clientOf(url, tenant.tokens.submitter)
  const { id } = (await submitter.post('/v1/jobs', endless)).expect(202)
  const polls = Array.from({ length: 20 }, () => submitter.get(`/v1/jobs/${id}?wait=60`))
  await expect.poll(() => figure(url, underWay), soon).toBe(21)
  await api.stop()
  for (const answer of await Promise.all(polls)) {
    expect(answer.expect(200)).toMatchObject({ id })
    expect(answer.headers.get('connection')).toBe('close')
  }
  await expect(fetch(`${url}/healthz`)).rejects.toThrow()
  await api.stop()
  ;(await tenant.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
})

test('what is being submitted while the door stops is answered and kept', async () => {
  const { api, url } = await service.openDoor()
  const submitter = clientOf(url, tenant.tokens.submitter)
  const submissions = Array.from({ length: 50 }, () => submitter.post('/v1/jobs?wait=60', job))
  await expect.poll(() => figure(url, underWay), soon).toBeGreaterThan(1)
  await api.stop()
  // Who was not connected yet when the door closed finds it closed; everybody else is answered.
  const settled = await Promise.allSettled(submissions)
  const answers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(answers.length).toBeGreaterThan(0)
  for (const answer of answers) {
    const { id } = answer.expect(answer.status === 200 ? 200 : 202)
    expect((await tenant.submitter.get(`/v1/jobs/${id}?wait=30`)).expect(200)).toMatchObject({ status: 'succeeded' })
  }
  const turnedAway = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.message] : []))
  expect(turnedAway.filter((message) => message !== 'fetch failed')).toEqual([])
})

test('a stop does not wait for ever for a request that never comes to its end', async () => {
  const { api } = await service.openDoor({ drainMsMax: 100 })
  const socket = connect(api.port, '127.0.0.1')
  socket.on('error', () => undefined)
  const head = `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tenant.tokens.submitter}\r\nContent-Type: application/json\r\n`
  socket.write(`${head}Content-Length: 100\r\n\r\n{"capab`)
  await expect.poll(() => figure(`http://127.0.0.1:${api.port}`, underWay), soon).toBe(2)
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await api.stop()
  await closed
  expect(service.logged).toEqual([])
})

test('a caller that leaves ends its wait', async () => {
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const { api, url } = await service.openDoor()
  const submitter = clientOf(url, tenant.tokens.submitter)
  const { id } = (await submitter.post('/v1/jobs', endless)).expect(202)
  const leaving = new AbortController()
  const polls = Array.from({ length: 10 }, () => submitter.get(`/v1/jobs/${id}?wait=60`, { signal: leaving.signal }))
  await expect.poll(() => figure(url, underWay), soon).toBe(11)
  leaving.abort()
  await Promise.allSettled(polls)
  await expect.poll(() => figure(url, underWay), soon).toBe(1)
  await api.stop()
  ;(await tenant.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
})

test.each([
  ['and who knows it', false],
  ['and who does not know it', true],
])('a door that hears nobody %s finds ends of jobs, answers and events all the same, and soon', async (_, hearsAll) => {
  // Nobody publishes on this one: as in a process with no role but this, or where Redis loses everything.
  const { api, url } = await service.openDoor({ relay: inProcessRelay({ hearsAll }) })
  const [admin, submitter] = [clientOf(url, tenant.tokens.admin), clientOf(url, tenant.tokens.submitter)]
  const sinceMs = performance.now()
  const done = (await submitter.post('/v1/jobs?wait=30', job)).expect(200)
  expect(done).toMatchObject({ status: 'succeeded' })
  const cap = { metric: 'requests', limit: 1_000, period: 'day' }
  ;(await admin.put('/v1/tenants/harbor/caps/heard', cap)).expect(200)
  const { id } = (await submitter.post('/v1/jobs', job)).expect(202)
  const events = await fetch(`${url}/v1/jobs/${id}/events`, {
    headers: { Authorization: `Bearer ${tenant.tokens.submitter}` },
  })
  expect(await events.text()).toMatch(/event: rated\n.*"status":"succeeded"/)
  // Three waits for what takes milliseconds; with naps of the longest kind alone it would be six seconds and more.
  expect(performance.now() - sinceMs).toBeLessThan(5_000)
  await api.stop()
})

test('who waits for a job of its own is handed the result; anybody else has it from the vault', async () => {
  const reads: string[] = []
  const vault: typeof service.vault = {
    ...service.vault,
    getMany(wanted) {
      reads.push(...wanted.map(({ ref }) => ref))
      return service.vault.getMany(wanted)
    },
  }
  const { api, url } = await service.openDoor({ vault })
  const submitter = clientOf(url, tenant.tokens.submitter)
  const single = (await submitter.post('/v1/jobs?wait=30', job)).expect(200)
  const batch = (await submitter.post('/v1/jobs/batch?wait=30', { jobs: [job, job] })).expect(200)
  expect(single).toHaveProperty('result.sentiment')
  const results = batch['results'] as { job: { id: string; result: unknown } }[]
  expect(results.map((one) => one.job.result)).toEqual([single['result'], single['result']])
  expect(reads).toEqual([])
  const again = (await submitter.get(`/v1/jobs/${String(single['id'])}?wait=30`)).expect(200)
  expect([again['result'], reads.length]).toEqual([single['result'], 1])
  await api.stop()
})

const failingLog = (code: 'LOG_BUSY' | 'LOG_UNAVAILABLE'): Log => ({
  ...service.log,
  partitionCount: service.log.partitionCount,
  recordBytesMax: service.log.recordBytesMax,
  append: () => Promise.reject(new PlatformError(code, { waiting: 1_234_567 })),
})

test.each(['LOG_BUSY', 'LOG_UNAVAILABLE'] as const)(
  '%s is told with 503 and when to come back, and a retry is safe',
  async (code) => {
    const { api, url } = await service.openDoor({ log: failingLog(code) })
    const headers = { 'Idempotency-Key': `retry-${code}` }
    const submit = (to: string) => clientOf(to, tenant.tokens.submitter).post('/v1/jobs?wait=30', job, { headers })
    const refused = await submit(url)
    refused.problem(503, code)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.text).not.toContain('1234567')
    const cap = { metric: 'requests', limit: 1, period: 'day' }
    ;(await clientOf(url, tenant.tokens.admin).put('/v1/tenants/harbor/caps/c', cap)).problem(503, code)
    const retried = (await submit(service.url)).expect(200)
    expect((await submit(service.url)).expect(200)).toMatchObject({ id: retried['id'], status: 'succeeded' })
    await api.stop()
  },
)

test('an answer that does not come in time is 202 with the id of the request', async () => {
  const nobodyListens = simulatedLog({ partitionCount: 2, clock: systemClock, random: systemRandom })
  const { api, url } = await service.openDoor({ log: nobodyListens, answerWaitMs: 50 })
  const answer = await clientOf(url, tenant.tokens.admin).put('/v1/tenants/harbor/caps/c', {
    metric: 'requests',
    limit: 1,
    period: 'day',
  })
  expect(answer.problem(202, 'ANSWER_PENDING')).toMatchObject({ requestId: expect.stringMatching(/^req_/) })
  await api.stop()
})

test('a fault inside is told by its code alone, and logged with the id the caller has', async () => {
  const secret = 'connection string with a password'
  const { api, url } = await service.openDoor({
    database: { ...service.database, asTenant: () => Promise.reject(new Error(secret)) },
  })
  const answer = await clientOf(url, tenant.tokens.reader).get('/v1/jobs', { headers: { 'X-Request-Id': 'fault-1' } })
  answer.problem(500, 'INTERNAL')
  expect(answer.text).not.toContain(secret)
  expect(service.logged.filter(({ level }) => level === 'error')).toMatchObject([
    { context: { correlationId: 'fault-1', route: '/v1/jobs', code: 'INTERNAL' } },
  ])
  await api.stop()
})

test('a database that is away is 503 for whoever needs it, and the process lives on', async () => {
  const away = () => Promise.reject(new PlatformError('DATABASE_UNAVAILABLE', { during: 'connect' }))
  const { api, url } = await service.openDoor({ database: { ...service.database, asTenant: away, asService: away } })
  ;(await clientOf(url, tenant.tokens.reader).get('/v1/jobs')).problem(503, 'DATABASE_UNAVAILABLE')
  ;(await clientOf(url, rootToken).get('/v1/tenants')).problem(503, 'DATABASE_UNAVAILABLE')
  ;(await clientOf(url, undefined).get('/healthz')).expect(200)
  await api.stop()
})

test('readiness says which roles are missing', async () => {
  const { api, url } = await service.openDoor({
    readiness: () => ({ isReady: false, waitingFor: ['owner', 'views'], degraded: [] }),
  })
  expect((await clientOf(url, undefined).get('/readyz')).problem(503, 'NOT_READY')).toMatchObject({
    waitingFor: 'owner, views',
  })
  await api.stop()
})

test('a service that is starting says how far it is, and answers nothing else yet', async () => {
  let isOpen = false
  const { api, url } = await service.openDoor({
    isOpen: () => isOpen,
    readiness: () => ({ isReady: isOpen, waitingFor: ['owner'], degraded: [], restoringFacts: 120_000 }),
  })
  const [nobody, reader] = [clientOf(url, undefined), clientOf(url, tenant.tokens.reader)]
  expect((await nobody.get('/readyz')).problem(503, 'NOT_READY')).toMatchObject({ restoringFacts: 120_000 })
  ;(await nobody.get('/healthz')).expect(200)
  ;(await reader.get('/v1/jobs')).problem(503, 'NOT_READY')
  isOpen = true
  ;(await reader.get('/v1/jobs')).expect(200)
  ;(await nobody.get('/readyz')).expect(200)
  await api.stop()
})

test('a service that goes on without an optional part is ready, and says what is away', async () => {
  const { api, url } = await service.openDoor({
    readiness: () => ({ isReady: true, waitingFor: [], degraded: ['redis'] }),
  })
  expect((await clientOf(url, undefined).get('/readyz')).expect(200)).toEqual({ status: 'ready', degraded: ['redis'] })
  await api.stop()
})

test('a port that is taken is refused', async () => {
  await expect(service.openDoor({ port: service.api.port })).rejects.toThrow('EADDRINUSE')
})
