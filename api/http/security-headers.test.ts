/** Every answer of every route keeps browsers from doing anything with it, and no other origin may read one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Route } from '../route.ts'
import { routeTable } from '../route-table.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { securityHeaders } from './security-headers.ts'

let service: Service
let token: string
beforeAll(async () => {
  service = await startService()
  token = (await openTenant(service, 'harbor')).tokens.admin
})
afterAll(() => service.stop())

const always = {
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-permitted-cross-domain-policies': 'none',
}
/** What would open an answer to scripts of others, or tell what the server is made of. */
const never = ['access-control-allow-origin', 'access-control-allow-credentials', 'x-powered-by', 'server']

function check(headers: Headers): void {
  for (const [name, value] of Object.entries(always)) expect([name, headers.get(name)]).toEqual([name, value])
  for (const name of never) expect([name, headers.get(name)]).toEqual([name, null])
  expect(headers.get('content-security-policy')).toMatch(/(^|;)\s*frame-ancestors 'none'/)
  // The page that shows the API brings scripts and styles of its own, and nobody else's.
  expect(headers.get('content-security-policy')).toMatch(/(^|;)\s*default-src '(none|self)'/)
  expect(headers.get('content-security-policy')).not.toMatch(/https?:|\*|unsafe-eval/)
  expect(headers.get('strict-transport-security')).toBeNull()
}

const call = (method: string, path: string, headers: Record<string, string> = {}) =>
  fetch(`${service.url}${path.replaceAll(/\{\w+\}/g, 'x')}`, {
    method: method.toUpperCase(),
    headers: { Origin: 'https://evil.example', ...headers },
    redirect: 'manual',
  })

describe.each(routeTable.map((route): [string, Route] => [`${route.method} ${route.path}`, route]))(
  '%s',
  (_, route) => {
    test('has them with a token, without one, and when a browser asks beforehand', async () => {
      const bodyless = { Authorization: `Bearer ${token}` }
      for (const headers of [bodyless, {}, { Authorization: 'Bearer pf3_unknown-token' }]) {
        const answer = await call(route.method, route.path, headers)
        await answer.body?.cancel()
        check(answer.headers)
      }
      const asked = { 'Access-Control-Request-Method': route.method, 'Access-Control-Request-Headers': 'authorization' }
      const preflight = await call('options', route.path, asked)
      expect(preflight.status).toBe(405)
      expect(await preflight.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED' })
      check(preflight.headers)
    })
  },
)

test('so has every address that there is not', async () => {
  for (const path of ['/', '/nowhere', '/v1/jobs/%zz']) check((await call('get', path)).headers)
})

test('under TLS, and only there, browsers are told to come no other way', () => {
  const hsts = (isSecure: boolean) => new Map(securityHeaders({ isSecure })).get('strict-transport-security')
  expect(hsts(true)).toBe('max-age=31536000; includeSubDomains')
  expect(hsts(false)).toBeUndefined()
})
