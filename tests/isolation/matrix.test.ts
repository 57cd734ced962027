/**
 * No operation shows or changes anything of another tenant, whichever id it is given and whoever asks. Made from the
 * route table: an operation with a parameter, or a body, that the table of kinds does not know fails here.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Role } from '../../api/auth/principal.ts'
import type { Route } from '../../api/route.ts'
import { routeTable } from '../../api/route-table.ts'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  bodyNames,
  bodyOf,
  type Ids,
  type Kind,
  kindOfName,
  kindsTaken,
  mayBelow,
  missingLike,
  nameOf,
  newNames,
  pathNames,
  plainNames,
  queryNames,
} from './kinds.ts'
import {
  ahead,
  bare,
  counting,
  deadTokens,
  factCounts,
  factCountsAtRest,
  furnish,
  type Owned,
  type Said,
  say,
  type Tenant,
} from './world.ts'

// What only reads comes first, so that nothing the matrix makes of our own is in the way of a comparison.
const order = ['get', 'delete', 'post', 'put']
const operations = routeTable
  .filter((route) => route.roles !== 'public')
  .sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method))
const tenantRoles = ['tenant-admin', 'submitter', 'reader'] as const satisfies readonly Role[]
const callersOf = (route: Route): Role[] =>
  tenantRoles.filter((role) => (route.roles as readonly string[]).includes(role))

let service: Service
let counted: ReturnType<typeof counting>
let url: string
let laterUrl: string
let ours: Owned
let foreign: Record<'parent' | 'sibling' | 'child' | 'unrelated', Owned>
let dead: Record<(typeof tenantRoles)[number], { revoked: string; expired: string }>
/** What our own lists said before anybody else had anything. */
let listsBefore: string[]
const said: { what: string; ids: Ids; answer: Said }[] = []

beforeAll(async () => {
  service = await startService()
  const parent = await openTenant(service, 'zebra-parent', { level: 'partner' })
  const unrelated = await openTenant(service, 'zebra-unrelated', { level: 'partner' })
  const tenant = await openTenant(service, 'own-tenant', { level: 'client', parentId: 'zebra-parent' })
  const sibling = await openTenant(service, 'zebra-sibling', { level: 'client', parentId: 'zebra-parent' })
  const child = await openTenant(service, 'zebra-child', { level: 'merchant', parentId: 'own-tenant' })
  counted = counting(service.database)
  ;({ url } = await service.openDoor({ database: counted.database }))
  ;({ url: laterUrl } = await service.openDoor({ clock: ahead(systemClock, 7_200_000) }))
  ours = await furnish(tenant, 'ours')
  dead = {
    'tenant-admin': await deadTokens(service, tenant, 'tenant-admin'),
    submitter: await deadTokens(service, tenant, 'submitter'),
    reader: await deadTokens(service, tenant, 'reader'),
  }
  listsBefore = await ownLists()
  foreign = {
    parent: await furnish(parent, 'qux-parent'),
    sibling: await furnish(sibling, 'qux-sibling'),
    child: await furnish(child, 'qux-child'),
    unrelated: await furnish(unrelated, 'qux-unrelated'),
  }
}, 120_000)
afterAll(() => service.stop())

const tokenOf = ({ tokens }: Tenant, role: Role): string =>
  role === 'tenant-admin' ? tokens.admin : role === 'submitter' ? tokens.submitter : tokens.reader

async function call(what: string, role: Role, route: Route, ids: Ids): Promise<Said> {
  const answer = await say(url, `Bearer ${tokenOf(ours.tenant, role)}`, route, ids)
  said.push({ what, ids, answer })
  return answer
}

/** Every list and sum of our own that there is. */
async function ownLists(): Promise<string[]> {
  const day = new Date().toISOString()
  const lists = operations.filter(
    ({ method, path }) => method === 'get' && pathNames({ path }).every((name) => name === 't'),
  )
  return Promise.all(
    lists.map(async ({ path }) => {
      const query = path.endsWith('/usage')
        ? `?from=2026-01-01&to=${day.slice(0, 10)}&groupBy=member`
        : path.endsWith('/ledger')
          ? `?period=${day.slice(0, 7)}`
          : path.endsWith('/rollups')
            ? '?from=2026-01-01&to=2026-01-02' // What those below tell of later days comes by itself.
            : path.endsWith('/audit')
              ? '?stream=accounts' // As above: that it was told is a fact of the stream `transfers`.
              : ''
      const { admin } = ours.tenant
      const address = path.replace('{t}', ours.ids.tenant) + query
      return `${address} ${JSON.stringify((await admin.get(address)).expect(200)).replace(/"(at|lastUsedAt)":"[^"]*"/g, '"$1":""')}`
    }),
  )
}

const withForeign = (kindsChanged: readonly Kind[], from: Ids): Ids => ({
  ...ours.ids,
  ...Object.fromEntries(kindsChanged.map((kind) => [kind, from[kind]])),
})
const missing = (ids: Ids): Ids =>
  Object.fromEntries(Object.entries(ids).map(([kind, id]) => [kind, missingLike(id)])) as Ids

describe('the table of kinds', () => {
  test.each(operations.map((route): [string, Route] => [nameOf(route), route]))('%s', (name, route) => {
    const known = [...Object.keys(kindOfName), ...plainNames]
    expect(
      [...pathNames(route), ...queryNames(route)].filter((parameter) => !known.includes(parameter)),
      'parameters that tests/isolation/kinds.ts does not know',
    ).toEqual([])
    expect(route.body === undefined, 'a body needs an example in tests/isolation/kinds.ts').toBe(
      bodyOf[name] === undefined,
    )
    const wanted = bodyNames(route).filter((field) => !newNames.includes(field))
    expect(wanted.filter((field) => kindOfName[field] === undefined)).toEqual([])
    const { body } = kindsTaken(route)
    expect(
      wanted.map((field) => kindOfName[field]).filter((kind) => kind !== undefined && !body.includes(kind)),
    ).toEqual([])
    expect(
      route.body === undefined ||
        route.body.safeParse(bodyOf[name]?.(ours.ids)).success ||
        name === 'post /v1/price-books',
    ).toBe(true)
  })

  test('names no operation that there is not', () => {
    const names = operations.map(nameOf)
    expect([...Object.keys(bodyOf), ...mayBelow].filter((name) => !names.includes(name))).toEqual([])
  })
})

test('our own lists and sums say, byte for byte, what they said before the others had anything', async () => {
  expect(listsBefore.length).toBeGreaterThan(8)
  expect(await ownLists()).toEqual(listsBefore)
})

describe.each(operations.map((route): [string, Route] => [nameOf(route), route]))('%s', (name, route) => {
  const taken = kindsTaken(route)
  const all = [...new Set([...taken.path, ...taken.query, ...taken.body])].filter((kind) => kind !== 'priceBook')

  test('ids of another tenant are answered exactly as ids that do not exist', async () => {
    const before = await factCounts(service.database)
    for (const relation of ['parent', 'sibling', 'child', 'unrelated'] as const) {
      const theirs = foreign[relation].ids
      for (const changed of [...all.map((kind) => [kind]), ...(all.length > 1 ? [all] : [])]) {
        const isAllowed = relation === 'child' && changed.includes('tenant') && mayBelow.includes(name)
        for (const role of callersOf(route)) {
          // Below, only an admin may do what it may; for the other roles the child is as far away as any.
          if (isAllowed && role === 'tenant-admin') continue
          const what = `${role} with ${changed.join(', ')} of ${relation}`
          const [there, nowhere] = [withForeign(changed, theirs), withForeign(changed, missing(theirs))]
          counted.take()
          const answer = await call(what, role, route, there)
          const asked = counted.take()
          const control = await call(`${what} (missing)`, role, route, nowhere)
          const askedOfMissing = counted.take()
          expect([what, bare(answer, there)]).toEqual([what, bare(control, nowhere)])
          expect([what, asked]).toEqual([what, askedOfMissing])
          const isLookedUp =
            changed.includes('tenant') || (route.method !== 'put' && changed.some((kind) => taken.path.includes(kind)))
          if (isLookedUp) expect([what, [401, 403, 404].includes(answer.status)]).toEqual([what, true])
          expect([what, answer.status < 500]).toEqual([what, true])
        }
      }
    }
    const after = await factCounts(service.database)
    for (const { ids } of Object.values(foreign)) expect(after[ids.tenant]).toBe(before[ids.tenant])
  })

  test('without a credential that works, and without the role, every id is answered alike', async () => {
    const some = callersOf(route)[0] ?? 'tenant-admin'
    const credentials: [what: string, status: number, at: string, authorization: string | undefined][] = [
      ['none', 401, url, undefined],
      ['empty', 401, url, ''],
      ['malformed', 401, url, 'Bearer'],
      ['another scheme', 401, url, `Basic ${tokenOf(ours.tenant, some)}`],
      ['unknown', 401, url, 'Bearer pf3_0000000000000000000000000000000000000000000'],
      ['truncated', 401, url, `Bearer ${tokenOf(ours.tenant, some).slice(0, -1)}`],
      ['revoked', 401, url, `Bearer ${dead[some === 'platform-admin' ? 'tenant-admin' : some].revoked}`],
      ['expired', 401, laterUrl, `Bearer ${dead[some === 'platform-admin' ? 'tenant-admin' : some].expired}`],
      ...tenantRoles
        .filter((role) => !callersOf(route).includes(role))
        .map((role): [string, number, string, string] => [role, 403, url, `Bearer ${tokenOf(ours.tenant, role)}`]),
    ]
    const before = await factCountsAtRest(service.database)
    for (const [what, status, at, authorization] of credentials) {
      const asked = [ours.ids, missing(ours.ids), ...Object.values(foreign).map(({ ids }) => ids)]
      const answers: string[] = []
      for (const ids of asked) {
        const answer = await say(at, authorization, route, ids)
        said.push({ what: `${name} ${what}`, ids, answer })
        answers.push(bare(answer, ids))
        expect([what, answer.status]).toEqual([what, status])
      }
      expect([what, new Set(answers).size]).toEqual([what, 1])
    }
    expect(await factCounts(service.database)).toEqual(before)
  })
})

test('what an admin may do below shows nothing of what is there', async () => {
  const { ids } = foreign.child
  const rows = operations.filter((route) => mayBelow.includes(nameOf(route)) && route.method === 'get')
  for (const route of rows) {
    const { text } = await call(`below ${nameOf(route)}`, 'tenant-admin', route, { ...ours.ids, tenant: ids.tenant })
    for (const secret of foreign.child.secrets.filter((one) => one !== `Tenant ${ids.tenant}`))
      expect([nameOf(route), text.includes(secret)]).toEqual([nameOf(route), false])
  }
})

test('a cursor of another tenant opens nothing of it', async () => {
  for (const [path, list] of [
    ['/v1/jobs', 'jobs'],
    [`/v1/billing/ledger?period=${new Date().toISOString().slice(0, 7)}`, 'lines'],
    ['/v1/audit', 'events'],
  ] as const) {
    const joined = path.includes('?') ? '&' : '?'
    const theirs = (await foreign.sibling.tenant.admin.get(`${path}${joined}limit=1`)).expect(200)
    expect(theirs['next']).toBeTypeOf('string')
    const answer = await ours.tenant.admin.get(`${path}${joined}cursor=${theirs['next']}`)
    expect([200, 400]).toContain(answer.status)
    const rows = (answer.body[list] ?? []) as { id: string }[]
    const own = (await ours.tenant.admin.get(path)).expect(200)[list] as { id: string }[]
    expect(rows.filter(({ id }) => !own.some((one) => one.id === id))).toEqual([])
  }
})

test('nothing that was said held an id, a name or a secret of another tenant', () => {
  const secrets = Object.values(foreign).flatMap((owned) => [...owned.secrets, owned.ids.tenant])
  const told = said.flatMap(({ what, ids, answer }) => {
    const asked = Object.values(ids)
    const text = `${answer.headers}\n${answer.text}`
    const isChildAsked = asked.includes(foreign.child.ids.tenant)
    return (
      secrets
        .filter((secret) => !asked.includes(secret) && text.includes(secret))
        // Who lies directly below is what its parent may know, and asked for it.
        .filter((secret) => !what.startsWith('below') && !(isChildAsked && secret.startsWith('Tenant ')))
        .map((secret) => `${what}: ${secret}`)
    )
  })
  expect(told).toEqual([])
  expect(said.length).toBeGreaterThan(operations.length * 40)
})

test('what the others have stayed as it was, and nothing failed inside', async () => {
  for (const { tenant, ids } of Object.values(foreign)) {
    ;(await tenant.admin.get(`/v1/jobs/${ids.job}`)).expect(200)
    ;(await tenant.admin.get(`/v1/label-sets/${ids.labelSet}`)).expect(200)
    ;(await tenant.admin.get(`/v1/billing/lines/${ids.line}`)).expect(200)
    const caps = (await tenant.admin.get(`/v1/tenants/${tenant.id}/caps`)).expect(200)['caps'] as { id: string }[]
    expect(caps.map(({ id }) => id)).toEqual([ids.cap])
    const tokens = (await tenant.admin.get(`/v1/tenants/${tenant.id}/tokens`)).expect(200)['tokens'] as {
      id: string
      state: string
    }[]
    expect(tokens.find(({ id }) => id === ids.token)?.state).toBe('active')
  }
  expect(service.logged).toEqual([])
})
