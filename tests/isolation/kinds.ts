/** What every parameter of the API names, and a sound body for every operation that takes one: what the matrix is made from. */
import { z } from 'zod'
import type { Route } from '../../api/route.ts'

/** Kinds of ids. A price book belongs to the platform, so no tenant's book is foreign to another. */
export const kinds = [
  'tenant',
  'cap',
  'token',
  'actor',
  'labelSet',
  'job',
  'line',
  'member',
  'erasure',
  'priceBook',
] as const
export type Kind = (typeof kinds)[number]
export type Ids = Readonly<Record<Kind, string>>

/** By name in a path, a query or a body. */
export const kindOfName: Readonly<Record<string, Kind>> = {
  t: 'tenant',
  parentId: 'tenant',
  capId: 'cap',
  tokenId: 'token',
  actor: 'actor',
  labelSetId: 'labelSet',
  jobId: 'job',
  lineId: 'line',
  memberId: 'member',
  erasureId: 'erasure',
  hash: 'priceBook',
}

/** Names of parameters that are no ids of anything that belongs to a tenant. */
export const plainNames: readonly string[] = [
  'wait',
  'limit',
  'status',
  'capability',
  'from',
  'to',
  'groupBy',
  'correlationId',
  'type',
  'stream',
  'period',
  'cursor',
]

/** Fields of bodies that look like ids and name nothing that is there already. */
export const newNames: readonly string[] = ['id']

/** Query that an operation cannot do without, or that makes its answer definite. */
export const queryOf: Readonly<Record<string, string>> = {
  'get /v1/usage': 'from=2000-01-01&to=2000-12-31',
  'get /v1/rollups': 'from=2000-01-01&to=2000-12-31',
  'get /v1/billing/ledger': 'period=2000-01',
  'post /v1/jobs': 'wait=30',
}

const tenantBody = { level: 'merchant', name: 'x', currency: 'USD', timeZone: 'UTC' }
const labelSetBody = {
  labels: ['a', 'b'],
  examples: [
    { text: 'one', label: 'a' },
    { text: 'two', label: 'b' },
  ],
}

/** A sound body of every operation that takes one, around the ids it is given. */
export const bodyOf: Readonly<Record<string, (ids: Ids) => object>> = {
  'post /v1/tenants': ({ tenant }) => ({ ...tenantBody, parentId: tenant }),
  'post /v1/tenants/{t}/tokens': ({ member }) => ({ role: 'reader', memberId: member }),
  'put /v1/tenants/{t}/members/{memberId}': () => ({ kind: 'agent' }),
  'put /v1/tenants/{t}/caps/{capId}': ({ member }) => ({
    metric: 'requests',
    limit: 1_000,
    period: 'day',
    scope: { memberId: member },
  }),
  'put /v1/tenants/{t}/retention': () => ({ contentDays: 30 }),
  'post /v1/price-books': () => ({}),
  'put /v1/label-sets/{labelSetId}': () => labelSetBody,
  'post /v1/jobs/estimate': (ids) => jobBody(ids),
  'post /v1/jobs': (ids) => jobBody(ids),
  'post /v1/jobs/batch': (ids) => ({ jobs: [jobBody(ids)] }),
}

export const jobBody = ({ labelSet, member }: Pick<Ids, 'labelSet' | 'member'>): object => ({
  capability: 'classify.category',
  params: { labelSetId: labelSet },
  input: { text: 'one' },
  memberId: member,
})

/**
 * What an admin may do to a tenant below its own, as decided: open tenants there, and set and remove caps and tokens,
 * without looking at what the tenant does. Everything else below is as far away as what lies beside or above.
 */
export const mayBelow: readonly string[] = [
  'post /v1/tenants',
  'get /v1/tenants',
  'get /v1/tenants/{t}',
  'post /v1/tenants/{t}/tokens',
  'delete /v1/tenants/{t}/tokens/{tokenId}',
  'put /v1/tenants/{t}/members/{memberId}',
  'delete /v1/tenants/{t}/members/{memberId}',
  'put /v1/tenants/{t}/caps/{capId}',
  'delete /v1/tenants/{t}/caps/{capId}',
]

export const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`
export const pathNames = ({ path }: Pick<Route, 'path'>): string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? [])
export const queryNames = ({ query }: Route): string[] => propertiesOf(query)
/** Names anywhere in the body that look like ids. */
export const bodyNames = ({ body }: Route): string[] =>
  body === undefined ? [] : [...new Set(deepNames(schemaOf(body)))].filter((name) => /^id$|Ids?$/.test(name))

const propertiesOf = (schema: z.ZodType): string[] => Object.keys(schemaOf(schema).properties ?? {})

type JsonSchema = { properties?: Record<string, JsonSchema> }
const schemaOf = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema

function deepNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const own =
    'properties' in schema && typeof schema.properties === 'object' ? Object.keys(schema.properties ?? {}) : []
  return [...own, ...Object.values(schema).flatMap(deepNames)]
}

/** Which kinds the operation takes in its path, its query and its body. */
export function kindsTaken(route: Route): { path: Kind[]; query: Kind[]; body: Kind[] } {
  const named = (names: readonly string[]) => names.flatMap((name) => kindOfName[name] ?? [])
  const read = new Set<Kind>()
  const note = (_: Ids, name: string | symbol) => {
    read.add(name as Kind)
    return 'x'
  }
  const noting = new Proxy({} as Ids, { get: note })
  bodyOf[nameOf(route)]?.(noting)
  return { path: named(pathNames(route)), query: named(queryNames(route)), body: [...read] }
}

/** The address and body of the operation with these ids. */
export function callOf(route: Route, ids: Ids): { method: string; path: string; body: object | undefined } {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => idNamed(name, ids))
  const query = [
    ...(queryOf[nameOf(route)] === undefined ? [] : [queryOf[nameOf(route)]]),
    ...queryNames(route)
      .filter((name) => kindOfName[name] !== undefined)
      .map((name) => `${name}=${idNamed(name, ids)}`),
  ].join('&')
  return {
    method: route.method.toUpperCase(),
    path: query === '' ? path : `${path}?${query}`,
    body: bodyOf[nameOf(route)]?.(ids),
  }
}

function idNamed(name: string, ids: Ids): string {
  const kind = kindOfName[name]
  if (kind === undefined) throw new Error(`Of what kind is the parameter ${name}? Say so in tests/isolation/kinds.ts.`)
  return ids[kind]
}

/** An id of the same form and length that names nothing. */
export const missingLike = (id: string): string => id.slice(0, -1) + (id.endsWith('0') ? '1' : '0')
