/** Who is let in, who is told to come again and when, and that places are given back whatever happens. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Problem } from '../http/problem.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { type LimitOptions, limitDefaults, limits } from './limits.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
let other: typeof tenant
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
  other = await openTenant(service, 'other')
})
afterAll(() => service.stop())

const door = (more: Partial<LimitOptions>) =>
  service.openDoor({ limits: { ...limitDefaults, failuresPerAddressMax: null, ...more } })
const get = (url: string, token: string, path = '/v1/caps/standing', init: RequestInit = {}) =>
  fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${token}` }, ...init })
const told = async (response: Response) => {
  const { code } = (await response.json()) as { code?: string }
  return [response.status, code, Number(response.headers.get('retry-after')) > 0]
}
const hanging = { capability: 'generate.text', input: { prompt: 'for ever' } }

describe('requests of a tenant in ten seconds', () => {
  test('are counted down, and refused when they are used up, those of others not', async () => {
    const { api, url } = await door({ perTenantMax: 3 })
    for (const left of [2, 1, 0]) {
      const answer = await get(url, tenant.tokens.reader)
      expect([answer.status, answer.headers.get('ratelimit-policy')]).toEqual([200, '"tenant";q=3;w=10'])
      expect(answer.headers.get('ratelimit')).toMatch(new RegExp(`^"tenant";r=${left};t=\\d+$`))
    }
    // Whatever the route, the role or the credential: the tenant is one.
    expect(await told(await get(url, tenant.tokens.admin, '/v1/jobs'))).toEqual([429, 'RATE_LIMITED', true])
    expect((await get(url, other.tokens.reader)).status).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    await api.stop()
  })
})

test('of many requests at once exactly so many are let in as may be, each told what was left after it', async () => {
  const { api, url } = await door({ perTenantMax: 20 })
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => get(url, (n % 5 === 0 ? other : tenant).tokens.reader)),
  )
  const leftOf = (of: number) =>
    answers
      .filter((answer, n) => (n % 5 === 0) === (of === 0) && answer.status === 200)
      .map(({ headers }) => Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]))
      .toSorted((a, b) => a - b)
  expect(leftOf(0)).toEqual(Array.from({ length: 10 }, (_, n) => 10 + n))
  expect(leftOf(1)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(20)
  await api.stop()
})

test('the headers that are documented are those of a first answer', async () => {
  const { api, url } = await door({})
  const { headers } = await get(url, tenant.tokens.reader)
  const page = readFileSync(join(import.meta.dirname, '../../docs/limits.md'), 'utf8')
  const lines = /```http\n(?<lines>[^`]+)\n```/.exec(page)?.groups?.['lines']?.split('\n') ?? []
  expect(lines).toHaveLength(2)
  for (const line of lines) {
    const [name = '', value] = line.split(': ')
    expect(headers.get(name)).toBe(value)
  }
  await api.stop()
})

describe('requests under way', () => {
  test('those of one tenant that wait are counted, and room is made when one is answered or hung up', async () => {
    service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
    const { id } = (await tenant.submitter.post('/v1/jobs', hanging)).expect(202)
    const { api, url } = await door({ openPerTenantMax: 2 })
    const waits = [1, 2].map(() => new AbortController())
    const open = waits.map(({ signal }) => get(url, tenant.tokens.reader, `/v1/jobs/${id}?wait=60`, { signal }))
    await expect.poll(async () => told(await get(url, tenant.tokens.reader))).toEqual([429, 'TOO_MANY_AT_ONCE', true])
    expect((await get(url, other.tokens.reader)).status).toBe(200)
    waits[0]?.abort()
    await expect(open[0]).rejects.toThrow()
    await expect.poll(async () => (await get(url, tenant.tokens.reader)).status).toBe(200)
    ;(await tenant.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
    expect((await open[1])?.status).toBe(200)
    await api.stop()
  })

  test('those that only wait leave their place to others; of all together there is a bound, too', async () => {
    service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
    const { id } = (await tenant.submitter.post('/v1/jobs', hanging)).expect(202)
    const { api, url } = await door({ workingMax: 1, openMax: 3 })
    const path = `/v1/jobs/${id}`
    const open = [get(url, tenant.tokens.reader, `${path}?wait=60`)]
    await expect.poll(async () => (await get(url, other.tokens.reader)).status).toBe(200)
    const stream = get(url, tenant.tokens.reader, `${path}/events`)
    expect((await stream).status).toBe(200)
    await expect.poll(async () => (await get(url, other.tokens.reader)).status).toBe(200)
    open.push(get(url, tenant.tokens.reader, `${path}?wait=60`))
    await expect.poll(async () => told(await get(url, other.tokens.reader))).toEqual([503, 'OVERLOADED', true])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    ;(await tenant.submitter.delete(`${path}?wait=30`)).expect(200)
    for (const one of open) expect((await one).status).toBe(200)
    await (await stream).text()
    await expect.poll(async () => (await get(url, other.tokens.reader)).status).toBe(200)
    await api.stop()
  })

  test('one that works again after a rest takes a place like any other', () => {
    const { enter } = limits({ ...limitDefaults, workingMax: 1 })
    const first = enter()
    first.work()
    first.rest()
    const second = enter()
    expect(() => first.work()).toThrow(new Problem('OVERLOADED'))
    second.leave()
    first.work()
    expect(enter).toThrow(new Problem('OVERLOADED'))
    first.leave()
    enter().leave()
  })

  test('of many at once so many are served as may work, and the others are told to come again', async () => {
    const { api, url } = await door({ workingMax: 5 })
    const answers = await Promise.all(Array.from({ length: 100 }, () => get(url, tenant.tokens.reader)))
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    for (const answer of answers.filter(({ status }) => status === 503))
      expect(await told(answer)).toEqual([503, 'OVERLOADED', true])
    expect((await get(url, tenant.tokens.reader)).status).toBe(200)
    await api.stop()
  })
})

describe('credentials that are not valid', () => {
  test('are looked up so often a minute from one address, and then no credential from there is', async () => {
    const { api, url } = await door({ failuresPerAddressMax: 5 })
    for (let time = 0; time < 5; time++) {
      expect((await get(url, tenant.tokens.reader)).status).toBe(200)
      expect((await get(url, 'pf3_nobody-has-this-one')).status).toBe(401)
    }
    expect(await told(await get(url, 'pf3_nobody-has-this-one'))).toEqual([429, 'TOO_MANY_FAILURES', true])
    const together = await Promise.all(Array.from({ length: 20 }, () => get(url, tenant.tokens.reader)))
    for (const answer of together) expect(await told(answer)).toEqual([429, 'TOO_MANY_FAILURES', true])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    await api.stop()
  })
})

test('refusals are no faults, and leave nothing in the log', () => expect(service.logged).toEqual([]))
