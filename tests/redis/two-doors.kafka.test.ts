/** Two processes on one PostgreSQL server and one Redis: what they tell each other, what they count together, and what is left without Redis. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clientOf } from '../../api/testing/client.ts'
import { startServiceProcess } from '../../bin/demo/service-process.ts'
import { startScriptedProvider } from '../../providers/index.ts'
import { freePort } from '../machine/free-port.ts'
import { freshDatabase } from '../postgres/fresh-database.ts'
import { ownRedis } from './own-redis.ts'

const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
const soon = { timeout: 20_000, interval: 50 }

async function installation(redisUrl: string) {
  const [fresh, dir, scripted] = [
    await freshDatabase(),
    await mkdtemp(join(tmpdir(), 'pf3-two-doors-')),
    await startScriptedProvider(),
  ]
  onTestFinished(async () => {
    await scripted.close()
    await fresh.drop()
    await rm(dir, { recursive: true, force: true })
  })
  scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const open = async (roles: string) => {
    const lines: string[] = []
    const env = {
      PF3_POSTGRES_URL: fresh.url,
      PF3_REDIS_URL: redisUrl,
      PF3_MASTER_KEY_FILE: join(dir, 'master.key'),
      PF3_SCRIPTED_URL: scripted.baseUrl,
      PF3_LOG_LEVEL: 'info',
    }
    const onLog = (text: string) => void lines.push(...text.split('\n').filter((line) => line !== ''))
    const dataDir = join(dir, roles)
    const { url, stop } = await startServiceProcess({ dataDir, port: 0, rootToken, env, roles, onLog })
    onTestFinished(async () => void (await stop()))
    const said = () => lines.map((line) => (JSON.parse(line) as { message: string }).message)
    const root = clientOf(url, rootToken, { 'X-PF3-Justification': 'a test of two doors' })
    return { url, stop, said, root, ready: async () => (await clientOf(url, undefined).get('/readyz')).expect(200) }
  }
  return { whole: await open('api,owner,projections'), door: await open('api') }
}
type Door = Awaited<ReturnType<typeof installation>>['door']

async function tokenOf({ root }: Door): Promise<string> {
  const tenant = { id: 'harbor', level: 'client', name: 'Harbor', currency: 'USD', timeZone: 'UTC' }
  ;(await root.post('/v1/tenants', tenant)).expect(201)
  return String((await root.post('/v1/tenants/harbor/tokens', { role: 'tenant-admin' })).expect(201)['token'])
}

/**
 * How long the end of a job takes from one door to a caller who waits at the other, in milliseconds. It was waited for
 * long enough before that the other door looks by itself as seldom as it ever does.
 */
async function newsMs(from: Door, to: Door, token: string): Promise<number> {
  const [there, here] = [clientOf(from.url, token), clientOf(to.url, token)]
  const job = { capability: 'generate.text', input: { prompt: 'for ever' } }
  const { id } = (await there.post('/v1/jobs', job)).expect(202)
  const waiting = here.get(`/v1/jobs/${id}?wait=60`)
  await new Promise((resolve) => setTimeout(resolve, 2_300))
  ;(await there.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
  const sinceMs = performance.now()
  expect((await waiting).expect(200)).toMatchObject({ status: 'cancelled' })
  return performance.now() - sinceMs
}

const leftAt = async ({ url }: Door, token: string): Promise<number> => {
  const { headers } = await fetch(`${url}/v1/caps/standing`, { headers: { Authorization: `Bearer ${token}` } })
  return Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1])
}
const redisUp = async ({ url }: Door): Promise<string | undefined> =>
  /^pf3_redis_up (\d)$/m.exec((await clientOf(url, undefined).get('/metrics')).text)?.[1]

test('two doors are one by Redis, go on as two without it, and are one again when it is back', async () => {
  const redis = await ownRedis()
  const { whole, door } = await installation(redis.url)
  const both = [whole, door]
  const token = await tokenOf(door)
  const setCap = async (limit: number) => {
    const cap = { metric: 'requests', limit, period: 'day' }
    ;(await clientOf(door.url, token).put('/v1/tenants/harbor/caps/c', cap)).expect(200)
  }
  const leftInTurns = async () => {
    const left: number[] = []
    for (const one of [whole, door, whole, door]) left.push(await leftAt(one, token))
    return left.map((count) => count - (left[0] ?? 0))
  }
  for (const one of both)
    expect([await one.ready(), await redisUp(one)]).toEqual([{ status: 'ready', degraded: [] }, '1'])
  // A window may end in between; then the next is as good.
  await expect.poll(leftInTurns, soon).toEqual([0, -1, -2, -3])
  expect(await newsMs(whole, door, token)).toBeLessThan(800)

  redis.part().signal('SIGSTOP')
  for (const one of both) await expect.poll(one.ready, soon).toEqual({ status: 'ready', degraded: ['redis'] })
  for (const one of both) expect(await redisUp(one)).toBe('0')
  const sinceMs = performance.now()
  await setCap(1_000)
  // Looks of the door, and of the log for what another process has written.
  expect(performance.now() - sinceMs).toBeLessThan(2_000)
  expect(await newsMs(whole, door, token)).toBeLessThan(1_000)
  await expect.poll(leftInTurns, soon).not.toEqual([0, -1, -2, -3])

  redis.part().signal('SIGCONT')
  for (const one of both) await expect.poll(one.ready, soon).toEqual({ status: 'ready', degraded: [] })
  await expect.poll(leftInTurns, soon).toEqual([0, -1, -2, -3])
  expect(await newsMs(whole, door, token)).toBeLessThan(800)
  for (const one of both)
    expect(one.said().filter((message) => message.includes('Redis'))).toEqual(['Redis is away', 'Redis is back'])
})

test('a Redis that was never there keeps nobody from starting, answering or stopping', async () => {
  const { whole, door } = await installation(`redis://127.0.0.1:${await freePort()}`)
  for (const one of [whole, door]) expect(await one.ready()).toEqual({ status: 'ready', degraded: ['redis'] })
  const token = await tokenOf(door)
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const done = (await clientOf(door.url, token).post('/v1/jobs?wait=30', job)).expect(200)
  expect(done).toMatchObject({ status: 'succeeded' })
  for (const one of [door, whole]) {
    expect(await one.stop()).toBe(0)
    expect(one.said().filter((message) => message.includes('Redis'))).toEqual(['Redis is away'])
  }
})
