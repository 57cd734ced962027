/** The published description is the code's own, sound as OpenAPI and as JSON Schema, and the page that shows it works by itself. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jobEventNames } from '../jobs/job-events.ts'
import { routeTable } from '../route-table.ts'
import { rawCall } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { openApiOf } from './document.ts'

const file = join(import.meta.dirname, '../../docs/reference/openapi.json')
type Operation = {
  operationId: string
  parameters: { name: string; in: string; schema: object }[]
  responses: object
  security?: object[]
}
type Media = { schema: object; example?: unknown }
const document = openApiOf(routeTable) as {
  paths: Record<string, Record<string, Operation & { requestBody?: { content: Record<string, Media> } }>>
}
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, ...operation })),
)

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

test('docs/reference/openapi.json is made from the table of routes (UPDATE_DOCS=1 writes it)', () => {
  const text = `${JSON.stringify(document, null, 1)}\n`
  if (process.env.UPDATE_DOCS === '1') writeFileSync(file, text)
  else expect(readFileSync(file, 'utf8')).toBe(text)
})

test('every route is an operation of its own, with every parameter of its path', () => {
  expect(operations.map(({ name }) => name).sort()).toEqual(routeTable.map((r) => `${r.method} ${r.path}`).sort())
  const ids = operations.map(({ operationId }) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const { path, operationId, parameters } of operations) {
    expect(operationId).toMatch(/^[a-z][A-Za-z0-9]+$/)
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(parameters.filter((one) => one.in === 'path').map(({ name }) => name)).toEqual(named)
  }
})

const withBody = operations.filter(({ requestBody }) => requestBody !== undefined)

test.each(withBody)('the example of $name is accepted', async ({ name, path, requestBody }) => {
  const { example } = requestBody?.content['application/json'] ?? {}
  expect(example).toBeTypeOf('object')
  const isRoots = /^post .v1.(tenants|price-books)$/.test(name)
  const client = isRoots ? service.root : tenant.admin
  const at = path.replace('{t}', 'harbor').replace(/\{\w+\}/, 'an-id')
  const answer = name.startsWith('put') ? await client.put(at, example) : await client.post(at, example)
  expect([200, 201, 202], answer.text).toContain(answer.status)
  // Of a batch every item has an outcome of its own.
  expect(answer.text).not.toContain('urn:pf3:problem')
})

describe('what a client needs to know stands in it', () => {
  const text = (name: string) => JSON.stringify(operations.find((one) => one.name === name))
  const parameter = (name: string, of: string) =>
    operations.find((one) => one.name === of)?.parameters.find((one) => one.name === name)?.schema

  test('the unit, bounds and default of numbers in a query', () => {
    expect(parameter('wait', 'post /v1/jobs')).toMatchObject({ type: 'integer', minimum: 0, maximum: 60 })
    expect(parameter('limit', 'get /v1/jobs')).toMatchObject({ minimum: 1, maximum: 1_000 })
    expect(JSON.stringify(parameter('wait', 'post /v1/jobs'))).toContain('seconds')
  })

  test('the form of a job in a batch and of a price book, as far as a schema can say it', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    const bodyOf = (name: string) =>
      operations.find((one) => one.name === name)?.requestBody?.content['application/json']
    for (const name of ['post /v1/jobs/batch', 'post /v1/price-books']) {
      const { schema = {}, example } = bodyOf(name) ?? {}
      const fits = ajv.compile(schema)
      expect([name, fits(example), fits.errors]).toEqual([name, true, null])
      for (const [whole, part] of partsOf(example)) {
        const kept = whole[part]
        whole[part] = { surely: 'unknown' }
        expect([name, part, fits(example)]).toEqual([name, part, false])
        whole[part] = kept
      }
    }
    expect(text('post /v1/jobs/batch')).toContain('idempotency key of this job')
  })

  test('the names and data of events, the id of a request, the day on which a period begins', () => {
    const events = text('get /v1/jobs/{jobId}/events')
    for (const name of jobEventNames) expect(events).toContain(name)
    for (const operation of operations.filter(({ security = [] }) => security.length > 0))
      expect(operation.parameters).toContainEqual({ $ref: '#/components/parameters/RequestId' })
    expect(text('put /v1/tenants/{t}/caps/{capId}')).toContain('A day on which a period begins')
  })

  type Holder = Record<string, unknown>
  /** Every field of an object, however deep, where it stands. */
  function partsOf(value: unknown): [whole: Holder, part: string][] {
    if (typeof value !== 'object' || value === null) return []
    const own = Array.isArray(value) ? [] : Object.keys(value).map((part): [Holder, string] => [value as Holder, part])
    return [...own, ...Object.values(value).flatMap(partsOf)]
  }
})

test('every schema is sound JSON Schema', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  const schemas: object[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'schema' && typeof inner === 'object') schemas.push(inner as object)
      else walk(inner)
    }
  }
  walk(document.paths)
  expect(schemas.length).toBeGreaterThan(80)
  for (const schema of schemas) expect(ajv.validateSchema(schema), JSON.stringify(schema)).toBe(true)
})

describe('served', () => {
  test('the description is for everybody, and a caller who knows it is told so', async () => {
    const first = await fetch(`${service.url}/openapi.json`)
    expect([first.status, first.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(await first.json()).toEqual(JSON.parse(JSON.stringify(document)))
    const etag = first.headers.get('etag') ?? ''
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await fetch(`${service.url}/openapi.json`, { headers: { 'If-None-Match': known } })
      expect([known, again.status, await again.text(), again.headers.get('etag')]).toEqual([known, 304, '', etag])
    }
    const other = await fetch(`${service.url}/openapi.json`, { headers: { 'If-None-Match': '"x"' } })
    expect([other.status, (await other.text()).length > 1_000]).toEqual([200, true])
  })

  test('a job that has not changed is not sent again; one that has is', async () => {
    const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
    const { id } = (await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)
    const etag = (await tenant.reader.get(`/v1/jobs/${id}`)).headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[\w-]{22}"$/)
    ;(await tenant.reader.get(`/v1/jobs/${id}`, { headers: { 'If-None-Match': etag } })).expect(304)
    const { id: other } = (await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)
    ;(await tenant.reader.get(`/v1/jobs/${other}`, { headers: { 'If-None-Match': etag } })).expect(200)
    // Who may not see it learns nothing, whatever they know.
    const stranger = await openTenant(service, 'stranger')
    ;(await stranger.reader.get(`/v1/jobs/${id}`, { headers: { 'If-None-Match': '*' } })).problem(404, 'NOT_FOUND')
  })

  test('the page loads nothing from elsewhere and runs no script that stands in it', async () => {
    const page = await rawCall(service.url, { method: 'GET', path: '/docs' })
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';")
    expect(page.text).not.toMatch(/https?:|<script>|onload=/)
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address)
    expect(parts).toHaveLength(3)
    for (const path of parts) {
      const part = await rawCall(service.url, { method: 'GET', path })
      expect([path, part.status, part.text.length > 50]).toEqual([path, 200, true])
      expect(part.headers.get('content-type')).toMatch(/^text\/(css|javascript)/)
    }
  })
})

test('every answer is described, its problems with their codes', () => {
  const { components } = openApiOf(routeTable) as { components: { responses: Record<string, object> } }
  for (const { name, responses } of operations) {
    for (const [status, response] of Object.entries(responses) as [string, { $ref?: string; description?: string }][]) {
      const key = response.$ref?.replace('#/components/responses/', '')
      expect([
        name,
        status,
        key === undefined ? response.description !== undefined : key in components.responses,
      ]).toEqual([name, status, true])
    }
    expect([name, '400' in responses, 'default' in responses]).toEqual([name, true, true])
  }
  expect(JSON.stringify(document.paths['/v1/tenants/{t}/caps/{capId}']?.['put']?.responses)).toContain('ANSWER_PENDING')
})
