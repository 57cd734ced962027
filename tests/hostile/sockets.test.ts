/** What arrives is not always HTTP, or not in good time: each gets a clear answer or an end, and nobody else notices. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { limitDefaults } from '../../api/limits/limits.ts'
import { clientOf } from '../../api/testing/client.ts'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { factCounts } from '../isolation/world.ts'
import { type Heard, speak } from './raw-socket.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
let other: typeof tenant
let before: Record<string, number>
beforeAll(async () => {
  service = await startService({ wire: { waits: { headersMs: 300, requestMs: 900, lookMs: 50 } } })
  tenant = await openTenant(service, 'harbor')
  other = await openTenant(service, 'lighthouse')
  before = await factCounts(service.database)
})
afterAll(() => service.stop())
// Whatever a test did: others are served, nothing was written, nothing failed inside.
afterEach(async () => {
  expect(await factCounts(service.database)).toEqual(before)
  ;(await tenant.reader.get('/v1/jobs')).expect(200)
  expect(service.logged).toEqual([])
})

const port = (): number => service.api.port
const bearer = (): string => `Authorization: Bearer ${tenant.tokens.admin}`
const head = (first: string, ...lines: string[]): string => `${[first, ...lines].join('\r\n')}\r\n\r\n`
const say = (...parts: (string | Buffer)[]): Promise<Heard> => speak(port(), parts)
const json = 'Content-Type: application/json'
const closing = 'Connection: close'

function expectProblem(heard: Heard, status: number, code: string): void {
  expect([heard.status, heard.problem.code, heard.text.slice(0, 400)]).toEqual([status, code, expect.any(String)])
  expect(heard.problem.detail ?? 'none').not.toBe('')
  expect(heard.headers['x-content-type-options']).toBe('nosniff')
  expect(heard.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
}

/** Ends with the connection, which is given up by whoever speaks at the latest. */
function* endless(start: string, part: string): Iterable<string> {
  yield start
  while (true) yield part
}

test('slow-loris: a head that never ends is given up', async () => {
  const heard = await speak(port(), endless(head('GET /v1/jobs HTTP/1.1', 'Host: x').slice(0, -2), 'X-A: b\r\n'), {
    gapMs: 100,
  })
  expectProblem(heard, 408, 'REQUEST_TOO_SLOW')
})

test('a connection that says nothing at all is given up', async () => {
  expect((await speak(port(), ['GET'])).status).toBe(408)
})

test('slow-loris: a body that trickles for ever is given up', async () => {
  const start = head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, 'Content-Length: 100000')
  expectProblem(await speak(port(), endless(start, ' '), { gapMs: 50 }), 408, 'REQUEST_TOO_SLOW')
})

test('a body that stops in the middle is given up', async () => {
  const start = head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, 'Content-Length: 100')
  expectProblem(await speak(port(), [start, '{"capa']), 408, 'REQUEST_TOO_SLOW')
})

describe('where a body may be a second behind', () => {
  const start = (bytes: number): string =>
    head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, closing, `Content-Length: ${bytes}`)
  let api: Service['api']
  let url: string
  beforeAll(async () => {
    const limits = { ...limitDefaults, workingMax: 2 }
    ;({ api, url } = await service.openDoor({ limits, wire: { waits: { bodyMs: 1_000 } } }))
  })
  afterAll(() => api.stop())

  test('more of them than may work at once keep no place from others, and are given up', async () => {
    const figures = async () => (await clientOf(url, undefined).get('/metrics')).text
    const slow: Promise<Heard>[] = []
    for (let underWay = 2; underWay <= 5; underWay++) {
      slow.push(speak(api.port, [start(100), '{']))
      await expect.poll(figures, { interval: 10 }).toContain(`pf3_http_requests_under_way ${underWay}\n`)
      ;(await clientOf(url, other.tokens.reader).get('/v1/jobs')).expect(200)
    }
    for (const heard of await Promise.all(slow)) expectProblem(heard, 408, 'REQUEST_TOO_SLOW')
  })

  test('one that trickles is given up, one that is slow but gets on is heard to its end', async () => {
    const since = performance.now()
    expectProblem(await speak(api.port, endless(start(100_000), ' '), { gapMs: 50 }), 408, 'REQUEST_TOO_SLOW')
    expect(performance.now() - since).toBeLessThan(5_000)
    const parts = Array.from({ length: 15 }, () => ' '.repeat(1_000))
    expectProblem(await speak(api.port, [start(15_002), ...parts, '{}'], { gapMs: 150 }), 400, 'REQUEST_INVALID')
  })
})

test('a body without end is refused at its bound', async () => {
  const start = head('POST /v1/tenants/harbor/tokens HTTP/1.1', 'Host: x', bearer(), json, 'Transfer-Encoding: chunked')
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
  expectProblem(await speak(port(), endless(start, chunk)), 413, 'BODY_TOO_LARGE')
})

test('a caller that sends on and listens late still hears why its body was refused', async () => {
  const start = head('POST /v1/tenants/harbor/tokens HTTP/1.1', 'Host: x', bearer(), json, 'Transfer-Encoding: chunked')
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
  expectProblem(await speak(port(), endless(start, chunk), { hearsAfterMs: 500 }), 413, 'BODY_TOO_LARGE')
})

test('a caller that never stops is cut off, and what it sends after its body is no request', async () => {
  const start = head('POST /v1/tenants/harbor/tokens HTTP/1.1', 'Host: x', bearer(), json, 'Transfer-Encoding: chunked')
  const body = `400000\r\n${' '.repeat(0x400000)}\r\n20000\r\n${' '.repeat(0x20000)}\r\n`
  const heard = await speak(port(), [start, body, '0\r\n\r\n', head('GET /healthz HTTP/1.1', 'Host: x')])
  expectProblem(heard, 413, 'BODY_TOO_LARGE')
  expect(heard.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  const since = performance.now()
  await speak(port(), endless(start, `1000\r\n${' '.repeat(0x1000)}\r\n`), { hearsAfterMs: 10_000 })
  expect(performance.now() - since).toBeLessThan(8_000)
})

test('a body without end is not waited for when nobody may send one', async () => {
  const start = head('POST /v1/jobs HTTP/1.1', 'Host: x', json, 'Transfer-Encoding: chunked')
  const chunk = `1000\r\n${' '.repeat(0x1000)}\r\n`
  const heard = await speak(port(), endless(start, chunk), { gapMs: 20 })
  expectProblem(heard, 401, 'UNAUTHENTICATED')
  expect(heard.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
})

test('a caller that leaves in the middle of a body leaves nothing behind', async () => {
  const start = head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, 'Content-Length: 1000')
  await speak(port(), [start, '{"capability":"classify.sentiment","input":{"text":"'], { endsAfter: true })
})

test.each([
  ['both a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\nGET /x HTTP/1.1\r\n\r\n'],
  ['two lengths', ['Content-Length: 4', 'Content-Length: 5'], 'abcd'],
  ['a length that is no number', ['Content-Length: 4e0'], 'abcd'],
  ['a negative length', ['Content-Length: -1'], 'abcd'],
  ['a length with a sign', ['Content-Length: +4'], 'abcd'],
  ['a length beyond all bounds', ['Content-Length: 99999999999999999999999'], 'abcd'],
  ['a coding after chunked', ['Transfer-Encoding: chunked, gzip'], '0\r\n\r\n'],
  ['a coding nobody knows', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
  ['chunks hidden by a space', ['Transfer-Encoding : chunked'], '0\r\n\r\n'],
  ['a folded header', ['Transfer-Encoding:\r\n chunked, x'], '0\r\n\r\n'],
  ['a chunk size that is none', ['Transfer-Encoding: chunked'], 'zz\r\nabc\r\n0\r\n\r\n'],
  ['a chunk longer than it says', ['Transfer-Encoding: chunked'], '1\r\nabc\r\n0\r\n\r\n'],
  ['a chunk size beyond all bounds', ['Transfer-Encoding: chunked'], 'fffffffffffffffff\r\nabc'],
])('%s: refused and closed, and nothing after it is a request', async (_, lines, body) => {
  const heard = await say(head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, ...lines), body)
  expectProblem(heard, 400, 'REQUEST_INVALID')
  expect(heard.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
})

test.each([
  ['no HTTP', 'hello\r\n\r\n'],
  ['TLS', Buffer.from('16030100a5010000a1', 'hex')],
  ['zeros', Buffer.alloc(64)],
  ['a header without a name', head('GET /healthz HTTP/1.1', 'Host: x', ': y')],
  ['a header with a zero in it', head('GET /healthz HTTP/1.1', 'Host: x', 'X-A: a\0b')],
  ['a bare line feed in a value', head('GET /healthz HTTP/1.1', 'Host: x', 'X-A: a\rX-B: b')],
  ['a version nobody speaks', head('GET /healthz HTTP/9.9', 'Host: x')],
  ['a method nobody knows', head('BREW /healthz HTTP/1.1', 'Host: x')],
  ['a space in the path', head('GET /heal thz HTTP/1.1', 'Host: x')],
])('%s is refused', async (_, bytes) => {
  expectProblem(await say(bytes), 400, 'REQUEST_INVALID')
})

test('garbage after a good request: the first is answered, the rest refused', async () => {
  const heard = await say(head('GET /healthz HTTP/1.1', 'Host: x'), 'garbage\r\n\r\n')
  expect(heard.status).toBe(200)
  expect(heard.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
})

test('pipelined requests are answered in order, each for itself', async () => {
  const heard = await say(
    head('GET /healthz HTTP/1.1', 'Host: x'),
    head('GET /v1/jobs HTTP/1.1', 'Host: x'),
    head('GET /v1/jobs HTTP/1.1', 'Host: x', bearer(), closing),
  )
  expect(heard.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401', 'HTTP/1.1 200'])
})

test('a head beyond its bound is refused', async () => {
  expectProblem(
    await say(head('GET /v1/jobs HTTP/1.1', 'Host: x', `X-A: ${'a'.repeat(20_000)}`)),
    431,
    'HEAD_TOO_LARGE',
  )
  expectProblem(await say(head(`GET /v1/jobs?${'a'.repeat(20_000)} HTTP/1.1`, 'Host: x')), 431, 'HEAD_TOO_LARGE')
  const oversized = await say(
    head('GET /v1/jobs HTTP/1.1', 'Host: x', `Authorization: Bearer ${'a'.repeat(15_000)}`, closing),
  )
  expectProblem(oversized, 401, 'UNAUTHENTICATED')
})

test.each([
  ['no Host', 'GET /healthz HTTP/1.1', [], 'header.host'],
  ['two Hosts', 'GET /healthz HTTP/1.1', ['Host: a', 'Host: b'], 'header.host'],
  ['a Host with a path', 'GET /healthz HTTP/1.1', ['Host: a/b?c'], 'header.host'],
  ['a Host with a user', 'GET /healthz HTTP/1.1', ['Host: a@b'], 'header.host'],
  ['another host in the target', 'GET http://evil.example/healthz HTTP/1.1', ['Host: a'], 'target'],
  ['another host in the target of a write', 'POST http://evil.example/v1/jobs HTTP/1.1', ['Host: a'], 'target'],
])('%s is refused', async (_, first, lines, where) => {
  const heard = await say(head(first, ...lines, closing))
  expectProblem(heard, 400, 'REQUEST_INVALID')
  expect(heard.problem.errors?.map((error) => error.where)).toEqual([where])
})

test.each(['Authorization: Bearer pf3_another-token', 'Idempotency-Key: b', 'X-Request-Id: b'])(
  '%s a second time is refused: nobody could say which counts',
  async (line) => {
    const [name = ''] = line.split(':')
    const lines = name === 'Authorization' ? [] : [`${name}: a`]
    const heard = await say(head('GET /v1/jobs HTTP/1.1', 'Host: x', bearer(), ...lines, line, closing))
    expect(heard.problem.errors?.map((error) => error.where)).toEqual([`header.${name.toLowerCase()}`])
  },
)

test.each([
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Prefix: /healthz',
  'Forwarded: host=evil.example;proto=https',
  'X-Original-URL: /healthz',
  'X-Rewrite-URL: /healthz',
  'X-HTTP-Method-Override: GET',
  'X-Host: evil.example',
])('%s opens nothing and changes nothing', async (line) => {
  for (const host of ['evil.example', '127.0.0.1', 'localhost']) {
    const heard = await say(head('GET /v1/jobs HTTP/1.1', `Host: ${host}`, line, closing))
    expectProblem(heard, 401, 'UNAUTHENTICATED')
    expect(heard.text).not.toContain('evil')
    const known = await say(head('GET /v1/jobs HTTP/1.1', `Host: ${host}`, line, bearer(), closing))
    expect([known.status, known.text.includes('evil')]).toEqual([200, false])
  }
})

test('an expectation nobody knows, an upgrade and a tunnel lead nowhere', async () => {
  expectProblem(await say(head('GET /healthz HTTP/1.1', 'Host: x', 'Expect: coffee', closing)), 400, 'REQUEST_INVALID')
  const upgrade = head('GET /v1/jobs HTTP/1.1', 'Host: x', 'Connection: upgrade', 'Upgrade: websocket')
  expect((await speak(port(), [upgrade], { endsAfter: true })).text.match(/HTTP\/1\.1 \d+/)?.[0]).toBe('HTTP/1.1 401')
  expect((await say(head('CONNECT evil.example:443 HTTP/1.1', 'Host: x'))).text).toBe('')
  expectProblem(await say(head('OPTIONS * HTTP/1.1', 'Host: x', closing)), 404, 'NOT_FOUND')
  expectProblem(await say(head('TRACE /v1/jobs HTTP/1.1', 'Host: x', closing)), 405, 'METHOD_NOT_ALLOWED')
})

test('a hundred of them at once cost the others nothing', async () => {
  const start = head('POST /v1/jobs HTTP/1.1', 'Host: x', bearer(), json, 'Content-Length: 1000')
  const slow = Promise.all(Array.from({ length: 100 }, () => speak(port(), [start, '{'])))
  for (let i = 0; i < 10; i++) (await tenant.reader.get('/v1/jobs')).expect(200)
  expect(new Set((await slow).map(({ status }) => status))).toEqual(new Set([408]))
})
