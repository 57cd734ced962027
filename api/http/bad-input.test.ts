/** What is wrong with a request is said with a stable code, where it is, and what to do; nothing of it takes effect. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { factsOfJob } from '../../projections/job-trail/queries.ts'
import { rawCall } from '../testing/client.ts'
import { openTenant, rootToken, type Service, starterBook, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
const book = starterBook()

const bodies: readonly [what: string, method: 'post' | 'put', path: string, body: unknown, where: string][] = [
  ['an unknown field', 'post', '/v1/jobs', { ...job, callback: 'x' }, 'body.callback'],
  [
    'an unknown field of the input',
    'post',
    '/v1/jobs',
    { ...job, input: { text: 'x', model: 'y' } },
    'body.input.model',
  ],
  ['no capability', 'post', '/v1/jobs', { input: {} }, 'body.capability'],
  ['an unknown capability', 'post', '/v1/jobs', { ...job, capability: 'classify.everything' }, 'body.capability'],
  ['no input', 'post', '/v1/jobs', { capability: 'classify.sentiment' }, 'body.input'],
  ['an empty text', 'post', '/v1/jobs', { ...job, input: { text: '' } }, 'body.input.text'],
  ['a text that is a number', 'post', '/v1/jobs', { ...job, input: { text: 7 } }, 'body.input.text'],
  ['a lone surrogate', 'post', '/v1/jobs', { ...job, input: { text: 'a\ud800b' } }, 'body.input.text'],
  [
    'params of another capability',
    'post',
    '/v1/jobs',
    { ...job, params: { labelSetId: 'x' } },
    'body.params.labelSetId',
  ],
  ['missing params', 'post', '/v1/jobs', { ...job, capability: 'classify.category' }, 'body.params.labelSetId'],
  ['a priority of 0', 'post', '/v1/jobs', { ...job, priority: 0 }, 'body.priority'],
  ['half a priority', 'post', '/v1/jobs', { ...job, priority: 1.5 }, 'body.priority'],
  ['a deadline beyond a day', 'post', '/v1/jobs', { ...job, deadlineMs: 86_400_001 }, 'body.deadlineMs'],
  ['money as a number', 'post', '/v1/jobs', { ...job, maxCharge: 1.5 }, 'body.maxCharge'],
  ['money with 13 decimals', 'post', '/v1/jobs', { ...job, maxCharge: '0.0000000000001' }, 'body.maxCharge'],
  ['negative money', 'post', '/v1/jobs', { ...job, maxCharge: '-1' }, 'body.maxCharge'],
  ['a member id with a space', 'post', '/v1/jobs', { ...job, memberId: 'a b' }, 'body.memberId'],
  ['a list instead of an object', 'post', '/v1/jobs', [job], 'body'],
  ['nothing instead of an object', 'post', '/v1/jobs', null, 'body'],
  [
    'a prototype',
    'post',
    '/v1/jobs',
    JSON.parse('{"capability":"classify.sentiment","input":{"__proto__":{"text":"x"}}}'),
    'body.input.__proto__',
  ],
  ['a constructor', 'post', '/v1/jobs', { ...job, params: { constructor: {} } }, 'body.params.constructor'],
  ['65 levels', 'post', '/v1/jobs', { ...job, input: nested(65) }, `body.input${'[0]'.repeat(9)}`],
  [
    'an id with a slash',
    'post',
    '/v1/tenants',
    { id: 'a/b', level: 'client', name: 'x', currency: 'USD', timeZone: 'UTC' },
    'body.id',
  ],
  [
    'a level of the platform',
    'post',
    '/v1/tenants',
    { level: 'platform', name: 'x', currency: 'USD', timeZone: 'UTC' },
    'body.level',
  ],
  [
    'an unknown time zone',
    'post',
    '/v1/tenants',
    { level: 'client', name: 'x', currency: 'USD', timeZone: 'Mars/Base' },
    'body.timeZone',
  ],
  [
    'an offset for a time zone',
    'post',
    '/v1/tenants',
    { level: 'client', name: 'x', currency: 'USD', timeZone: '+01:00' },
    'body.timeZone',
  ],
  [
    'a currency in small letters',
    'post',
    '/v1/tenants',
    { level: 'client', name: 'x', currency: 'usd', timeZone: 'UTC' },
    'body.currency',
  ],
  [
    'a currency nobody has',
    'post',
    '/v1/tenants',
    { level: 'client', name: 'x', currency: 'ZZZ', timeZone: 'UTC' },
    'body.currency',
  ],
  ['a price book in a currency nobody has', 'post', '/v1/price-books', { ...book, currency: 'ZZZ' }, 'body.currency'],
  [
    'a name of control characters',
    'post',
    '/v1/tenants',
    { level: 'client', name: 'a\0b', currency: 'USD', timeZone: 'UTC' },
    'body.name',
  ],
  ['an unknown role', 'post', '/v1/tenants/harbor/tokens', { role: 'owner' }, 'body.role'],
  [
    'an expiry in the past',
    'post',
    '/v1/tenants/harbor/tokens',
    { role: 'reader', expiresAt: '2020-01-01T00:00:00Z' },
    'body.expiresAt',
  ],
  [
    'an expiry without a zone',
    'post',
    '/v1/tenants/harbor/tokens',
    { role: 'reader', expiresAt: '2090-01-01T00:00:00' },
    'body.expiresAt',
  ],
  ['an unknown metric', 'put', '/v1/tenants/harbor/caps/c', { metric: 'jobs', limit: 1, period: 'day' }, 'body.metric'],
  [
    'a count in decimals',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'requests', limit: '1', period: 'day' },
    'body.limit',
  ],
  [
    'a count no number holds',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'tokens', limit: 2 ** 60, period: 'day' },
    'body.limit',
  ],
  [
    'a negative count',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'tokens', limit: -1, period: 'day' },
    'body.limit',
  ],
  [
    '30 February',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'tokens', limit: 1, period: 'day', anchorDate: '2026-02-30' },
    'body.anchorDate',
  ],
  [
    'an anchor for all time',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'tokens', limit: 1, period: 'total', anchorDate: '2026-02-01' },
    'body.anchorDate',
  ],
  [
    'a cap on no capability',
    'put',
    '/v1/tenants/harbor/caps/c',
    { metric: 'tokens', limit: 1, period: 'day', scope: { capability: 'x' } },
    'body.scope.capability',
  ],
  ['one label', 'put', '/v1/label-sets/s', { labels: ['a'], examples: [{ text: 't', label: 'a' }] }, 'body.labels'],
  [
    'a stray label',
    'put',
    '/v1/label-sets/s',
    {
      labels: ['a', 'b'],
      examples: [
        { text: 't', label: 'a' },
        { text: 'u', label: 'b' },
        { text: 'v', label: 'c' },
      ],
    },
    'body.examples[2].label',
  ],
]

describe.each(bodies)('%s', (_, method, path, body, where) => {
  test('is refused, with the place and a way out', async () => {
    const isPlatforms = path === '/v1/tenants' || path === '/v1/price-books'
    const answer = await (isPlatforms ? service.root : tenant.admin)[method](path, body)
    const { errors = [] } = answer.problem(400, 'REQUEST_INVALID')
    expect(errors.map((error) => error.where)).toContain(where)
    for (const error of errors)
      expect(Math.min(error.problem.length, error.expected.length, error.remedy.length)).toBeGreaterThan(3)
  })
})

test('everything that is wrong is said at once', async () => {
  const answer = await tenant.admin.post('/v1/jobs?wait=61&x=1', { capability: 7, priority: 9, more: true })
  const { errors = [] } = answer.problem(400, 'REQUEST_INVALID')
  expect(errors.map((error) => error.where).sort()).toEqual([
    'body.capability',
    'body.input',
    'body.more',
    'body.priority',
    'query.wait',
    'query.x',
  ])
})

test.each([
  ['/v1/jobs?status=done', 'query.status'],
  ['/v1/jobs?limit=0', 'query.limit'],
  ['/v1/jobs?limit=1001', 'query.limit'],
  ['/v1/jobs?limit=', 'query.limit'],
  ['/v1/jobs?limit=1e2', 'query.limit'],
  ['/v1/jobs?cursor=abc', 'query.cursor'],
  [`/v1/jobs?cursor=${Buffer.from('["99999999999999999999","x"]').toString('base64url')}`, 'query.cursor'],
  [`/v1/jobs?cursor=${Buffer.from('["1"]').toString('base64url')}`, 'query.cursor'],
  ['/v1/jobs?status=failed&status=failed', 'query.status'],
  ['/v1/jobs?__proto__=1', 'query.__proto__'],
  ['/v1/jobs?capability=%00', 'query.capability'],
  ['/v1/jobs?from=yesterday', 'query.from'],
  ['/v1/jobs?to=2026-02-30T00:00:00Z', 'query.to'],
  ['/v1/jobs?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z', 'query.to'],
  ['/v1/jobs?correlationId=%27', 'query.correlationId'],
  ['/v1/jobs?capability=a%0d%0ab', 'query.capability'],
  ['/v1/jobs/job_1?wait=-1', 'query.wait'],
  ['/v1/jobs/a%20b', 'path.jobId'],
  [`/v1/jobs/${'x'.repeat(101)}`, 'path.jobId'],
  ['/v1/usage?from=2026-01-02&to=2026-01-01', 'query.to'],
  ['/v1/usage?from=2026-02-30&to=2026-03-01', 'query.from'],
  ['/v1/usage?from=2026-01-01', 'query.to'],
  ['/v1/usage?from=2026-01-01&to=2026-01-01&groupBy=tenant', 'query.groupBy'],
  ['/v1/billing/ledger', 'query.period'],
  ['/v1/billing/ledger?period=2026-13', 'query.period'],
  ['/v1/price-books/xyz', 'path.hash'],
])('GET %s', async (path, where) => {
  const { errors = [] } = (await tenant.admin.get(path)).problem(400, 'REQUEST_INVALID')
  expect(errors.map((error) => error.where)).toEqual([where])
})

test.each([
  ['an entry that is missing', { ...book, entries: [] }, 'body.entries'],
  [
    'a price that is a number',
    { ...book, entries: [{ ...(book as { entries: object[] }).entries[0], price: 1 }] },
    'body.entries[0].price',
  ],
  ['an unknown field', { ...book, extra: 1 }, 'body'],
])('a price book with %s is refused where it is wrong', async (_, body, where) => {
  const { errors = [] } = (await service.root.post('/v1/price-books', body)).problem(400, 'REQUEST_INVALID')
  expect(errors.map((error) => error.where)).toEqual([where])
})

test('a price book that is no record of the log any more is too large', async () => {
  const [entry] = (book as { entries: object[] }).entries
  const entries = Array.from({ length: 5_000 }, (_, i) => ({ ...entry, model: `model-${i}` }))
  ;(await service.root.post('/v1/price-books', { ...book, entries })).problem(413, 'LOG_RECORD_TOO_LARGE')
})

const raw = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Buffer | string,
  token = tenant.tokens.admin,
) =>
  rawCall(service.url, {
    method,
    path,
    headers: { Authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body }),
  })
const jsonType = { 'Content-Type': 'application/json' }

test.each([
  ['not JSON', '{"capability":'],
  ['two values', '{} {}'],
  ['nothing', ''],
  ['a comment', '{} // no'],
  ['a number that is not JSON', '{"priority":NaN}'],
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  ['UTF-16', Buffer.from('{"capability":"x"}', 'utf16le')],
])('a body that is %s is refused', async (_, body) => {
  const { errors } = (await raw('POST', '/v1/jobs', jsonType, body)).problem(400, 'REQUEST_INVALID')
  expect(errors?.map((error) => error.where)).toEqual(['body'])
})

test.each([
  ['at the top', '{"capability":"a","capability":"b"}', 'body.capability'],
  ['escaped', '{"capability":"a","c\\u0061pability":"b"}', 'body.capability'],
  ['deep inside', '{"input":{"text":"say \\"text\\": \\\\"},"params":[{"x" :1,"y":{},"x":{}}]}', 'body.x'],
])('a name given twice %s is refused', async (_, body, where) => {
  const { errors } = (await raw('POST', '/v1/jobs', jsonType, body)).problem(400, 'REQUEST_INVALID')
  expect(errors?.map((error) => error.where)).toEqual([where])
})

test('names that only look alike are not given twice', async () => {
  const text = 'a \\"b\\": \\\\'
  const body = `{"capability" : "classify.sentiment" , "input":{"text":"${text}\\"input\\":"},"params":{}}`
  ;(await raw('POST', '/v1/jobs', jsonType, body)).expect(202)
})

test.each([
  ['priority', '1e400'],
  ['priority', '-1e400'],
  ['priority', '9007199254740993'],
  ['priority', '-5'],
  ['deadlineMs', '0.1'],
  ['deadlineMs', '1e308'],
])('the number %s: %s is refused', async (name, number) => {
  const body = `{"capability":"classify.sentiment","input":{"text":"x"},"${name}":${number}}`
  const { errors } = (await raw('POST', '/v1/jobs', jsonType, body)).problem(400, 'REQUEST_INVALID')
  expect(new Set(errors?.map((error) => error.where))).toEqual(new Set([`body.${name}`]))
})

test.each(['NaN', 'Infinity', '-Infinity', '01', '+1', '.5', '0x10'])('%s is no number of JSON', async (number) => {
  const answer = await raw('POST', '/v1/jobs', jsonType, `{"priority":${number}}`)
  expect(answer.problem(400, 'REQUEST_INVALID').errors?.map((error) => error.where)).toEqual(['body'])
})

test.each([
  ['lists', '[', ']'],
  ['objects', '{"a":', '}'],
])('a hundred thousand nested %s are refused, and a million brackets that never close', async (_, open, close) => {
  const nest = `{"input":${open.repeat(100_000)}1${close.repeat(100_000)}}`
  ;(await raw('POST', '/v1/jobs', jsonType, nest)).problem(400, 'REQUEST_INVALID')
  ;(await raw('POST', '/v1/jobs', jsonType, '['.repeat(1_000_000))).problem(400, 'REQUEST_INVALID')
})

test('a prototype is refused at every depth, and none is changed', async () => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    for (let depth = 0; depth < 60; depth += 7) {
      const body = `${'{"a":'.repeat(depth)}{"${name}":{"polluted":true}}${'}'.repeat(depth)}`
      const { errors = [] } = (await raw('POST', '/v1/jobs', jsonType, body)).problem(400, 'REQUEST_INVALID')
      expect(errors.map((error) => error.where)).toEqual([
        `body${'.a'.repeat(Math.min(depth, 10))}${depth < 10 ? `.${name}` : ''}`,
      ])
    }
    for (const query of [`${name}=1`, `${name}[polluted]=1`, `${name}.polluted=1`, `a[${name}][b]=1`])
      (await raw('GET', `/v1/jobs?${query}`, {})).problem(400, 'REQUEST_INVALID')
  }
  expect(Reflect.get({}, 'polluted')).toBeUndefined()
})

test('fifteen hundred parameters are refused, and said briefly', async () => {
  const query = Array.from({ length: 1_500 }, (_, i) => `p${i}=1`).join('&')
  const answer = await raw('GET', `/v1/jobs?${query}`, {})
  expect(answer.problem(400, 'REQUEST_INVALID').errors).toHaveLength(50)
})

test.each([
  ['text/plain', {}],
  ['application/x-www-form-urlencoded', {}],
  ['application/json; charset=latin1', {}],
  ['application/jsonp', {}],
  ['application/json', { 'Content-Encoding': 'gzip' }],
])('a body of the type %s %j is not read', async (type, more) => {
  ;(await raw('POST', '/v1/jobs', { 'Content-Type': type, ...more }, JSON.stringify(job))).problem(
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  )
})

test('a charset of UTF-8 may be named', async () => {
  ;(await raw('POST', '/v1/jobs', { 'Content-Type': 'Application/JSON; charset=UTF-8' }, JSON.stringify(job))).expect(
    202,
  )
})

test('a body beyond its bound is refused while it comes in, with and without a length', async () => {
  const large = Buffer.from(JSON.stringify({ ...job, input: { text: 'x'.repeat(1_300_000) } }))
  expect((await raw('POST', '/v1/jobs', jsonType, large)).problem(413, 'BODY_TOO_LARGE')).toMatchObject({
    bytesMax: 1_258_291,
  })
  ;(await raw('POST', '/v1/jobs', { ...jsonType, 'Transfer-Encoding': 'chunked' }, large)).problem(
    413,
    'BODY_TOO_LARGE',
  )
  ;(await raw('POST', '/v1/tenants/harbor/tokens', jsonType, ' '.repeat(70_000))).problem(413, 'BODY_TOO_LARGE')
  const most = { ...job, input: { text: 'x'.repeat(1_048_576) } }
  expect((await tenant.submitter.post('/v1/jobs/estimate', most)).expect(200)).toMatchObject({
    inputTokensMax: 1_048_592,
  })
  const tooLong = { ...job, input: { text: 'x'.repeat(1_048_577) } }
  ;(await tenant.submitter.post('/v1/jobs', tooLong)).problem(400, 'REQUEST_INVALID')
})

test('a body where none belongs is refused', async () => {
  ;(await raw('GET', '/v1/jobs', { ...jsonType, 'Content-Length': '2' }, '{}')).problem(400, 'REQUEST_INVALID')
  ;(await raw('DELETE', '/v1/jobs/job_1', { ...jsonType, 'Content-Length': '2' }, '{}')).problem(400, 'REQUEST_INVALID')
})

test.each(['', ' ', 'a'.repeat(256)])('the idempotency key %j is refused', async (key) => {
  const answer = await tenant.submitter.post('/v1/jobs', job, { headers: { 'Idempotency-Key': key } })
  expect(answer.problem(400, 'REQUEST_INVALID').errors).toMatchObject([{ where: 'header.Idempotency-Key' }])
})

test.each([
  ['GET', '/', 404, 'NOT_FOUND'],
  ['GET', '/v1', 404, 'NOT_FOUND'],
  ['GET', '/V1/jobs', 404, 'NOT_FOUND'],
  ['GET', '/v1/jobs/', 404, 'NOT_FOUND'],
  ['GET', '/v1/%zz', 404, 'NOT_FOUND'],
  ['GET', '/v1/jobs/%zz', 400, 'REQUEST_INVALID'],
  ['GET', '/v1/../etc/passwd', 404, 'NOT_FOUND'],
  ['POST', '/v1/unknown', 404, 'NOT_FOUND'],
])('%s %s is answered %i', async (method, path, status, code) => {
  ;(await raw(method, path, {})).problem(status, code)
})

test.each([
  ['PATCH', '/v1/jobs', 'POST, GET'],
  ['PUT', '/v1/jobs/job_1', 'GET, DELETE'],
  ['OPTIONS', '/v1/tenants/harbor/caps/c', 'PUT, DELETE'],
  ['POST', '/healthz', 'GET'],
])('%s %s is a method the address does not take', async (method, path, allow) => {
  const answer = await raw(method, path, {})
  answer.problem(405, 'METHOD_NOT_ALLOWED')
  expect(answer.headers.get('allow')).toBe(allow)
})

test('no answer tells what the server is made of, or may be kept by a cache', async () => {
  for (const path of ['/healthz', '/v1/jobs', '/nowhere']) {
    const { headers } = await raw('GET', path, {})
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('server')).toBeNull()
    expect(headers.get('cache-control')).toBe('no-store')
  }
})

test("the caller's request id and trace are taken over when they are sound, and replaced when not", async () => {
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const sent = { 'X-Request-Id': 'order-7', traceparent: trace }
  const first = await tenant.submitter.post('/v1/jobs?wait=30', job, { headers: sent })
  expect(first.headers.get('x-request-id')).toBe('order-7')
  const factsOf = (jobId: unknown) =>
    service.database.asTenant('harbor', (tx) => factsOfJob(tx, 'harbor', String(jobId)))
  const facts = await factsOf(first.expect(200)['id'])
  expect(new Set(facts.map((fact) => `${fact.correlationId} ${fact.traceparent}`))).toEqual(
    new Set([`order-7 ${trace}`]),
  )

  const odd = { 'X-Request-Id': 'a b\tc', traceparent: '00-00000000000000000000000000000000-b7ad6b7169203331-01' }
  const second = await tenant.submitter.post('/v1/jobs?wait=30', job, { headers: odd })
  expect(second.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/)
  const later = await factsOf(second.expect(200)['id'])
  expect(new Set(later.map(({ traceparent }) => traceparent))).toEqual(new Set([null]))
})

test.each([
  '/v1/billing/ledger?period=9999-12',
  '/v1/billing/ledger?period=0000-01',
  '/v1/usage?from=9999-12-31&to=9999-12-31',
  '/v1/usage?from=0000-01-01&to=9999-12-31',
  '/v1/rollups?from=0000-01-01&to=9999-12-31',
])('%s: a period in which nothing has happened is empty', async (path) => {
  const answer = (await tenant.reader.get(path)).expect(200)
  expect([answer['lines'] ?? [], answer['next'] ?? null]).toEqual([[], null])
})

test.each(['0001-01-01', '1582-10-10', '9999-12-31'])('a cap anchored on %s stops nobody', async (anchorDate) => {
  for (const period of ['hour', 'day', 'week', 'month', 'year']) {
    const path = '/v1/tenants/harbor/caps/far'
    const answer = await tenant.admin.put(path, { metric: 'requests', limit: 1_000, period, anchorDate })
    if (answer.status === 400) continue
    answer.expect(200)
    ;(await tenant.reader.get('/v1/caps/standing')).expect(200)
    expect((await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)).toMatchObject({ status: 'succeeded' })
    ;(await tenant.admin.delete(path)).expect(204)
  }
})

test('nothing of all this was a fault, or left a trace of a token', async () => {
  expect(service.logged).toEqual([])
  expect(rootToken).toMatch(/^pf3_/)
  const requests = (await service.log.intakeEnd(0)) + (await service.log.intakeEnd(1))
  expect(Number(requests)).toBeLessThan(100)
})
