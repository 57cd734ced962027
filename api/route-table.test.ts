import { expect, test } from 'vitest'
import { z } from 'zod'
import { checkRole } from './auth/authenticate.ts'
import { roles as allRoles } from './auth/principal.ts'
import type { route } from './route.ts'
import { routeTable } from './route-table.ts'

test('no two routes have the same method and address', () => {
  const addresses = routeTable.map((route) => `${route.method} ${route.path.replaceAll(/\{\w+\}/g, '{}')}`)
  expect(new Set(addresses).size).toBe(addresses.length)
})

test.each(routeTable.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s can be described',
  (_, route) => {
    expect(route.summary).toMatch(/^[A-Z].*\.$/)
    const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const params = z.toJSONSchema(route.params, { io: 'input' })
    expect(Object.keys(params.properties ?? {})).toEqual(named)
    for (const schema of [route.query, ...(route.body ? [route.body] : [])])
      expect(z.toJSONSchema(schema, { io: 'input' })).toBeTypeOf('object')
    for (const schema of Object.values(route.replies))
      if (typeof schema === 'object' && schema) expect(z.toJSONSchema(schema)).toBeTypeOf('object')
  },
)

test('a route is closed to everybody whom it does not name', () => {
  // Who may call it cannot be left out: then this would not compile.
  const isRequired: undefined extends Parameters<typeof route>[0]['roles'] ? false : true = true
  expect(isRequired).toBe(true)
  for (const { roles, method, path } of routeTable) {
    if (roles === 'public') expect(path).toMatch(/^\/(healthz|readyz|metrics|openapi\.json|docs.*)$/)
    else
      expect([method, path, roles.length > 0, roles.every((role) => allRoles.includes(role))]).toEqual([
        method,
        path,
        true,
        true,
      ])
  }
  const nobody = { tenantId: 't', memberId: null, tokenId: 'x', role: 'reader' } as const
  expect(() => checkRole(nobody, [])).toThrow('may not do this')
})

test('a route that names a tenant says how far it reaches', () => {
  const names = (path: string, query: unknown, body: unknown): boolean =>
    path.includes('{t}') || JSON.stringify([query, body]).includes('parentId')
  const inSchema = (schema: z.ZodType | undefined) => schema && z.toJSONSchema(schema, { io: 'input' }).properties
  for (const { method, path, query, body, reach } of routeTable) {
    expect([`${method} ${path}`, reach !== undefined]).toEqual([
      `${method} ${path}`,
      names(path, inSchema(query), inSchema(body)),
    ])
  }
})

test('a platform admin is let into routes that name a tenant, which ask for its reason, and platform-wide ones', () => {
  const open = routeTable.filter(({ roles, reach }) => roles.includes('platform-admin') && reach === undefined)
  expect(open.map((route) => `${route.method} ${route.path}`)).toEqual([
    'post /v1/price-books',
    'get /v1/price-books',
    'get /v1/price-books/{hash}',
    'get /v1/rollups',
    'get /v1/audit',
  ])
})

test('every body that is looked at, and every query, refuses what it does not know', () => {
  const open = routeTable.filter(({ query, body }) =>
    [query, ...(body ? [body] : [])].some((schema) => schema.safeParse({ surely: 'unknown' }, {}).success),
  )
  // A price book is checked by pricing, which refuses unknown fields itself.
  expect(open.map((route) => `${route.method} ${route.path}`)).toEqual(['post /v1/price-books'])
})
