/** Who calls an operation that will go is told so in every answer, in good time. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openApiOf } from '../openapi/document.ts'
import { publicRoute } from '../route.ts'
import { routeTable } from '../route-table.ts'
import { type Service, startService } from '../testing/service.ts'
import { deprecationHeaders } from './deprecation.ts'
import { Problem } from './problem.ts'

let service: Service
beforeAll(async () => {
  service = await startService()
})
afterAll(() => service.stop())

const deprecated = { since: '2027-01-01', sunset: '2027-07-01', successor: '/v2/things' }

test('an operation that will go says since when, until when, and what takes its place', () => {
  expect(deprecationHeaders(deprecated)).toEqual({
    Deprecation: '@1798761600',
    Sunset: 'Thu, 01 Jul 2027 00:00:00 GMT',
    Link: '</v2/things>; rel="successor-version"',
  })
  expect(deprecationHeaders({ since: '2027-01-01', sunset: '2027-07-01' })).not.toHaveProperty('Link')
})

test('and the description says so', () => {
  const row = {
    method: 'get',
    path: '/v1/things',
    summary: 'Things.',
    params: z.strictObject({}),
    query: z.strictObject({}),
  } as const
  const described = (more: object) =>
    openApiOf([
      publicRoute({ ...row, ...more, replies: { 200: z.string() }, handle: async () => ({ status: 200, body: '' }) }),
    ])
  expect(described({ deprecated })).toMatchObject({ paths: { '/v1/things': { get: { deprecated: true } } } })
  expect(JSON.stringify(described({}))).not.toContain('deprecated')
})

test('every answer says so: the good one, the one that is known already, and the problem', async () => {
  const row = {
    method: 'get',
    params: z.strictObject({}),
    query: z.strictObject({}),
    replies: { 200: z.string() },
  } as const
  const things = { ...row, path: '/v1/things', summary: 'Things.', isRevalidated: true, deprecated } as const
  const broken = { ...row, path: '/v1/broken', summary: 'A problem.', deprecated } as const
  const stays = { ...row, path: '/v2/things', summary: 'Things.' } as const
  const { api, url } = await service.openDoor({
    routes: [
      publicRoute({ ...things, handle: async () => ({ status: 200, body: 'x' }) }),
      publicRoute({ ...broken, handle: () => Promise.reject(new Problem('NOT_FOUND')) }),
      publicRoute({ ...stays, handle: async () => ({ status: 200, body: 'x' }) }),
    ],
  })
  try {
    const said = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(`${url}${path}`, { headers })
      await answer.text()
      const { headers: got } = answer
      return [answer.status, got.get('deprecation'), got.get('sunset'), got.get('link')]
    }
    const wanted = ['@1798761600', 'Thu, 01 Jul 2027 00:00:00 GMT', '</v2/things>; rel="successor-version"']
    expect(await said('/v1/things')).toEqual([200, ...wanted])
    expect(await said('/v1/things', { 'If-None-Match': '*' })).toEqual([304, ...wanted])
    expect(await said('/v1/broken')).toEqual([404, ...wanted])
    expect(await said('/v2/things')).toEqual([200, null, null, null])
  } finally {
    await api.stop()
  }
})

test('no operation goes sooner than promised', () => {
  const monthsAhead = (day: string, months: number): string => {
    const date = new Date(`${day}T00:00:00Z`)
    date.setUTCMonth(date.getUTCMonth() + months)
    return date.toISOString().slice(0, 10)
  }
  const tooSoon = routeTable.filter(
    (row) => row.deprecated && row.deprecated.sunset < monthsAhead(row.deprecated.since, 6),
  )
  expect(tooSoon.map(({ method, path }) => `${method} ${path}`)).toEqual([])
  expect(monthsAhead(deprecated.since, 6) <= deprecated.sunset).toBe(true)
})
