import { expect, test } from 'vitest'
import { z } from 'zod'
import { openApiOf } from '../openapi/document.ts'
import { publicRoute } from '../route.ts'
import { deprecationHeaders } from './deprecation.ts'

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
