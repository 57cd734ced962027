/** Callers that ask and never read what they are answered: they are bounded like all others, and cut in time. */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ApiOptions } from '../../api/index.ts'
import { limitDefaults } from '../../api/limits/limits.ts'
import { type Reply, type Route, route } from '../../api/route.ts'
import { routeTable } from '../../api/route-table.ts'
import { clientOf } from '../../api/testing/client.ts'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { systemClock } from '../../platform/clock.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
let other: typeof tenant
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
  other = await openTenant(service, 'lighthouse')
})
afterAll(() => service.stop())

const sockets: Socket[] = []
const doors: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const door of doors.splice(0)) await door.stop()
  expect(service.logged).toEqual([])
})

const head = (path: string, token?: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`

async function open(limits: Partial<typeof limitDefaults>, more: Partial<ApiOptions> = {}) {
  const { api, url } = await service.openDoor({ limits: { ...limitDefaults, ...limits }, ...more })
  doors.push(api)
  const reader = clientOf(url, tenant.tokens.reader)
  const nobody = clientOf(url, undefined)
  return {
    url,
    reader,
    nobody,
    statusFor: async (client = reader) => (await client.get('/v1/jobs')).status,
    /** Asks for one after the other, and reads nothing before it is told to resume. */
    neverRead(...heads: string[]): Socket {
      const socket = connect(api.port, '127.0.0.1').pause()
      sockets.push(socket)
      socket.on('error', () => undefined)
      for (const [nth, one] of heads.entries()) setTimeout(() => socket.write(one), nth * 20)
      return socket
    },
  }
}

/** 17 MB, which is more than the buffers of a connection. */
const documents = Array.from({ length: 10 }, () => head('/docs/swagger-ui-bundle.js'))
/** Long enough to be seen, and over within the test. */
const soonCut = { wire: { waits: { readMs: 300 } } }

describe('documents for everybody', () => {
  test('take a place until they are read, and without one they are refused like all else', async () => {
    const { neverRead, statusFor, nobody } = await open({ openMax: 1 })
    const socket = neverRead(...documents)
    await expect.poll(() => statusFor()).toBe(503)
    for (const path of ['/docs', '/docs/start.js', '/openapi.json']) (await nobody.get(path)).problem(503, 'OVERLOADED')
    for (const path of ['/healthz', '/readyz', '/metrics']) (await nobody.get(path)).expect(200)
    expect(await statusFor()).toBe(503)
    socket.destroy()
    await expect.poll(() => statusFor()).toBe(200)
    expect((await nobody.get('/docs/swagger-ui-bundle.js')).text.length).toBeGreaterThan(1_000_000)
    expect(await statusFor()).toBe(200)
  })

  test('that nobody reads keep no working place from others', async () => {
    const { neverRead, statusFor } = await open({ workingMax: 1, openMax: 100 })
    for (let n = 0; n < 5; n++) neverRead(...documents)
    await pause(300)
    for (let n = 0; n < 10; n++) expect(await statusFor()).toBe(200)
  })

  test('are the same bytes for all, and named once', async () => {
    const replies: Reply[] = []
    const noted = (one: Route): Route => ({
      ...one,
      async answer(asked, parts) {
        const reply = await one.answer(asked, parts)
        replies.push(reply)
        return reply
      },
    })
    const { nobody } = await open({}, { routes: routeTable.map(noted) })
    for (const path of ['/openapi.json', '/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css']) {
      for (let time = 0; time < 2; time++) (await nobody.get(path)).expect(200)
      const [first, again] = replies.splice(0)
      expect(first?.headers?.['ETag']).toMatch(/^"[\w-]{22}"$/)
      expect(first?.body).toBeInstanceOf(Buffer)
      expect(again?.body).toBe(first?.body)
    }
  })
})

test('an answer of which nothing is taken is cut, and its place given back', async () => {
  const { neverRead, statusFor } = await open({ openMax: 1 }, soonCut)
  const socket = neverRead(...documents)
  await expect.poll(() => statusFor()).toBe(503)
  await expect.poll(() => statusFor()).toBe(200)
  let heard = 0
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.on('data', (chunk) => {
    heard += chunk.length
  })
  socket.resume()
  await closed
  expect(heard).toBeLessThan(documents.length * 1_400_000)
})

test('an answer that is read slowly is read to its end', async () => {
  const { neverRead } = await open({}, soonCut)
  const socket = neverRead(...documents, head('/nowhere').replace('Host', 'Connection: close\r\nHost'))
  const closed = new Promise((resolve) => socket.on('close', resolve))
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
  socket.resume()
  await closed
  const ok = documents.map(() => 'HTTP/1.1 200')
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([...ok, 'HTTP/1.1 404'])
})

test('a long wait, a quiet stream and a connection between two requests are not taken for such', async () => {
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const job = { capability: 'generate.text', input: { prompt: 'for ever' } }
  const { id } = (await tenant.submitter.post('/v1/jobs', job)).expect(202)
  const { url, reader, neverRead } = await open({}, soonCut)
  const stream = await fetch(`${url}/v1/jobs/${id}/events`, {
    headers: { Authorization: `Bearer ${tenant.tokens.reader}` },
  })
  const kept = neverRead(head('/healthz'))
  const heard: string[] = []
  kept.setEncoding('utf8').on('data', (chunk: string) => heard.push(chunk))
  kept.resume()
  const since = performance.now()
  ;(await reader.get(`/v1/jobs/${id}?wait=2`)).expect(200)
  expect(performance.now() - since).toBeGreaterThan(1_500)
  kept.write(head('/readyz'))
  await expect.poll(() => heard.join('').match(/HTTP\/1\.1 200/g)).toHaveLength(2)
  ;(await tenant.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
  expect(await stream.text()).toContain('event: rated')
})

describe('a stream that nobody reads', () => {
  // A hundred times as fast: 15 s between two looks pass in 0.15 s, and the 900 s of a stream in 9 s.
  const begin = systemClock.nowMs()
  const clock = {
    nowMs: () => begin + (systemClock.nowMs() - begin) * 100,
    after: (waitMs: number, run: () => void) => systemClock.after(waitMs / 100, run),
  }
  const endless = route({
    method: 'get',
    path: '/v1/endless',
    summary: 'Never ends by itself.',
    roles: ['reader'],
    params: z.strictObject({}),
    query: z.strictObject({}),
    replies: { 200: 'text/event-stream' },
    handle: async ({ rest }) => {
      rest()
      return { status: 200, stream: parts() }
    },
  })
  let given = 0
  async function* parts(): AsyncIterable<string> {
    for (;;) {
      given += 1
      yield 'x'.repeat(100_000)
    }
  }
  /** No part was given for a while: the buffers of the connection are full. */
  async function isStuck(): Promise<void> {
    for (let before = -1; before !== given; await pause(300)) before = given
  }
  const door = () => open({ openPerTenantMax: 1 }, { clock, routes: [...routeTable, endless] })

  test('ends in its time', async () => {
    const { neverRead, statusFor } = await door()
    const since = performance.now()
    neverRead(head('/v1/endless', tenant.tokens.reader))
    await expect.poll(() => statusFor()).toBe(429)
    await expect.poll(() => statusFor(), { interval: 200 }).toBe(200)
    expect(performance.now() - since).toBeGreaterThan(7_000)
  })

  test('ends with its credential', async () => {
    const { neverRead, statusFor, url } = await door()
    const { token, id } = (await other.admin.post('/v1/tenants/lighthouse/tokens', { role: 'reader' })).expect(201)
    const reader = clientOf(url, other.tokens.reader)
    neverRead(head('/v1/endless', String(token)))
    await expect.poll(() => statusFor(reader)).toBe(429)
    await isStuck()
    const since = performance.now()
    ;(await other.admin.delete(`/v1/tenants/lighthouse/tokens/${id}`)).expect(204)
    await expect.poll(() => statusFor(reader)).toBe(200)
    expect(performance.now() - since).toBeLessThan(5_000)
  })
})
