/** Who may do what, and to whom: every route with every role, and every path that names a tenant. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AuditFact, auditPage } from '../../projections/audit-trail/queries.ts'
import { routeTable } from '../route-table.ts'
import { type Client, clientOf } from '../testing/client.ts'
import { openTenant, rootToken, type Service, starterBook, startService } from '../testing/service.ts'

let service: Service
type Tenant = Awaited<ReturnType<typeof openTenant>>
let partner: Tenant
let client: Tenant
let sibling: Tenant
let merchant: Tenant
beforeAll(async () => {
  service = await startService()
  partner = await openTenant(service, 'partner-1', { level: 'partner' })
  sibling = await openTenant(service, 'partner-2', { level: 'partner' })
  client = await openTenant(service, 'client-1', { level: 'client', parentId: 'partner-1' })
  merchant = await openTenant(service, 'merchant-1', { level: 'merchant', parentId: 'client-1' })
})
afterAll(() => service.stop())

const cap = { metric: 'requests', limit: 1, period: 'day' }
const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
const labelSet = {
  labels: ['a', 'b'],
  examples: [
    { text: 'one', label: 'a' },
    { text: 'two', label: 'b' },
  ],
}
const hash = '0'.repeat(64)
const day = 'from=2026-01-01&to=2026-01-02'

/** Roles that may, of: p platform admin, a tenant admin, s submitter, r reader. */
const matrix: readonly [method: 'get' | 'post' | 'put' | 'delete', path: string, roles: string, body?: object][] = [
  ['post', '/v1/tenants', 'pa', { level: 'merchant', name: 'x', currency: 'USD', timeZone: 'Nowhere' }],
  ['get', '/v1/tenants', 'pa'],
  ['get', '/v1/tenants/client-1', 'pasr'],
  ['post', '/v1/tenants/client-1/tokens', 'pa', { role: 'reader', expiresAt: '2001-01-01T00:00:00Z' }],
  ['get', '/v1/tenants/client-1/tokens', 'pa'],
  ['delete', '/v1/tenants/client-1/tokens/tok_x', 'pa'],
  ['put', '/v1/tenants/client-1/members/m', 'pa', { kind: 'guest' }],
  ['get', '/v1/tenants/client-1/members', 'pa'],
  ['delete', '/v1/tenants/client-1/members/m', 'pa'],
  ['put', '/v1/tenants/client-1/retention', 'pa', { contentDays: 1 }],
  ['get', '/v1/tenants/client-1/retention', 'pa'],
  ['post', '/v1/tenants/client-1/erasures', 'pa'],
  ['get', '/v1/tenants/client-1/erasures', 'pa'],
  ['get', '/v1/tenants/client-1/erasures/era_x', 'pa'],
  ['put', '/v1/tenants/client-1/caps/c', 'pa', { ...cap, anchorDate: '2026-02-30' }],
  ['get', '/v1/tenants/client-1/caps', 'par'],
  ['delete', '/v1/tenants/client-1/caps/none', 'pa'],
  ['get', '/v1/caps/standing', 'ar'],
  ['post', '/v1/price-books', 'p', {}],
  ['get', '/v1/price-books', 'pasr'],
  ['get', `/v1/price-books/${hash}`, 'pasr'],
  ['put', '/v1/label-sets/x', 'a', {}],
  ['get', '/v1/label-sets/x', 'asr'],
  ['get', '/v1/label-sets', 'asr'],
  ['post', '/v1/jobs', 'as', {}],
  ['post', '/v1/jobs/batch', 'as', {}],
  ['post', '/v1/jobs/estimate', 'as', {}],
  ['get', '/v1/jobs', 'asr'],
  ['get', '/v1/jobs/job_x', 'asr'],
  ['get', '/v1/jobs/job_x/events', 'asr'],
  ['get', '/v1/jobs/job_x/result', 'asr'],
  ['delete', '/v1/jobs/job_x', 'as'],
  ['get', `/v1/usage?${day}`, 'ar'],
  ['get', `/v1/rollups?${day}`, 'par'],
  ['get', '/v1/billing/ledger?period=2026-01', 'ar'],
  ['get', '/v1/billing/lines/line_x', 'ar'],
  ['get', '/v1/audit', 'par'],
]

const send = (who: Client, [method, path, , body]: (typeof matrix)[number]) =>
  method === 'post' || method === 'put' ? who[method](path, body) : who[method](path)

test('the matrix has every route that takes a token', () => {
  const form = (path: string) => path.split('?')[0]?.split('/').length
  const wanted = routeTable
    .filter((route) => route.roles !== 'public')
    .map((route) => `${route.method} ${form(route.path)}`)
  expect(matrix.map(([method, path]) => `${method} ${form(path)}`).sort()).toEqual(wanted.sort())
})

describe.each(matrix)('%s %s', (...row) => {
  test('without a token it is refused', async () => {
    const answer = await send(service.as('pf3_unknown-token'), row)
    answer.problem(401, 'UNAUTHENTICATED')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="pf3"')
  })

  test('it is open to its roles and to no other', async () => {
    const callers: [string, Client][] = [
      ['p', service.root],
      ['a', client.admin],
      ['s', client.submitter],
      ['r', client.reader],
    ]
    for (const [role, who] of callers) {
      const answer = await send(who, row)
      expect([role, answer.status === 403]).toEqual([role, !row[2].includes(role)])
      if (answer.status === 403) answer.problem(403, 'FORBIDDEN')
      else expect([200, 201, 202, 204, 400, 404]).toContain(answer.status)
    }
  })
})

test('an admin acts on its descendants, and never looks at their rows', async () => {
  for (const below of [client, merchant]) {
    const path = `/v1/tenants/${below.id}`
    ;(await partner.admin.put(`${path}/caps/from-above`, cap)).expect(200)
    const token = (await partner.admin.post(`${path}/tokens`, { role: 'submitter' })).expect(201)
    ;(await service.as(token['token'] as string).get('/v1/jobs')).expect(200)
    ;(await partner.admin.delete(`${path}/tokens/${token['id']}`)).expect(204)
    ;(await partner.admin.get(path)).expect(200)
    ;(await partner.admin.get(`${path}/caps`)).problem(404, 'NOT_FOUND')
    ;(await partner.admin.get(`${path}/tokens`)).problem(404, 'NOT_FOUND')
    ;(await partner.admin.delete(`${path}/caps/from-above`)).expect(204)
  }
  const children = (await partner.admin.get('/v1/tenants')).expect(200)['tenants'] as { id: string }[]
  expect(children.map(({ id }) => id)).toEqual(['client-1'])
  const made = (
    await partner.admin.post('/v1/tenants', {
      level: 'merchant',
      parentId: 'client-1',
      name: 'Shop',
      currency: 'USD',
      timeZone: 'UTC',
    })
  ).expect(201)
  expect(made).toMatchObject({ parentId: 'client-1', level: 'merchant' })
})

test('only an admin reaches below: to others of its tenant a descendant is nowhere', async () => {
  for (const who of [partner.submitter, partner.reader]) {
    ;(await who.get('/v1/tenants/partner-1')).expect(200)
    for (const below of ['client-1', 'merchant-1']) (await who.get(`/v1/tenants/${below}`)).problem(404, 'NOT_FOUND')
  }
})

test('beside, above and nowhere look alike: 404', async () => {
  for (const tenant of ['partner-2', 'partner-1', 'platform', 'nowhere']) {
    const { admin } = client
    const answers = [
      await admin.put(`/v1/tenants/${tenant}/caps/c`, cap),
      await admin.delete(`/v1/tenants/${tenant}/caps/c`),
      await admin.get(`/v1/tenants/${tenant}/caps`),
      await admin.post(`/v1/tenants/${tenant}/tokens`, { role: 'reader' }),
      await admin.get(`/v1/tenants/${tenant}/tokens`),
      await admin.delete(`/v1/tenants/${tenant}/tokens/t`),
      await admin.get(`/v1/tenants/${tenant}`),
      await admin.get(`/v1/tenants?parentId=${tenant}`),
      await admin.post('/v1/tenants', {
        level: 'merchant',
        parentId: tenant,
        name: 'x',
        currency: 'USD',
        timeZone: 'UTC',
      }),
      await client.reader.get(`/v1/tenants/${tenant}`),
      await client.reader.get(`/v1/tenants/${tenant}/caps`),
    ]
    expect(new Set(answers.map((answer) => answer.problem(404, 'NOT_FOUND').detail))).toEqual(
      new Set(['There is no such tenant.']),
    )
  }
  ;(await service.root.get('/v1/tenants/nowhere/caps')).problem(404, 'NOT_FOUND')
  ;(await service.root.get('/v1/tenants/nowhere/tokens')).problem(404, 'NOT_FOUND')
})

test('what one tenant has, another cannot find by its id', async () => {
  ;(await client.admin.put('/v1/label-sets/ours', labelSet)).expect(200)
  const { id } = (await client.submitter.post('/v1/jobs?wait=30', job)).expect(200)
  const ledger = (await client.reader.get(`/v1/billing/ledger?period=${new Date().toISOString().slice(0, 7)}`)).expect(
    200,
  )
  const [line] = ledger['lines'] as { id: string }[]
  for (const other of [partner, sibling, merchant]) {
    ;(await other.reader.get(`/v1/jobs/${id}`)).problem(404, 'NOT_FOUND')
    ;(await other.reader.get(`/v1/jobs/${id}?wait=5`)).problem(404, 'NOT_FOUND')
    ;(await other.submitter.delete(`/v1/jobs/${id}`)).problem(404, 'NOT_FOUND')
    ;(await other.reader.get(`/v1/billing/lines/${line?.id}`)).problem(404, 'NOT_FOUND')
    ;(await other.reader.get('/v1/label-sets/ours')).problem(404, 'NOT_FOUND')
    expect((await other.reader.get('/v1/jobs')).expect(200)).toEqual({ jobs: [], next: null })
    expect((await other.reader.get('/v1/label-sets')).expect(200)).toEqual({ labelSets: [], next: null })
  }
})

test('many tenants that read at once are each given their own', async () => {
  const tenants = [partner, sibling, client, merchant]
  const ids = await Promise.all(
    tenants.map(async ({ id, submitter }) => ({
      tenant: id,
      job: (await submitter.post('/v1/jobs?wait=30', job, { headers: { 'Idempotency-Key': 'same' } })).expect(200)[
        'id'
      ],
    })),
  )
  expect(new Set(ids.map((one) => one.job)).size).toBe(tenants.length)
  const reads = tenants.flatMap(({ id, reader }) =>
    ids.map(async (one) => ({ isOwn: one.tenant === id, answer: await reader.get(`/v1/jobs/${one.job}`) })),
  )
  for (const { isOwn, answer } of await Promise.all(reads)) expect(answer.status).toBe(isOwn ? 200 : 404)
})

test('a member comes from the token; only an admin of the tenant names another', async () => {
  const ada = service.as(await client.issue('submitter', 'ada'))
  expect((await ada.post('/v1/jobs', job)).expect(202)).toMatchObject({ memberId: 'ada' })
  expect((await ada.post('/v1/jobs', { ...job, memberId: 'ada' })).expect(202)).toMatchObject({ memberId: 'ada' })
  ;(await ada.post('/v1/jobs', { ...job, memberId: 'ben' })).problem(403, 'FORBIDDEN')
  ;(await ada.post('/v1/jobs/estimate', { ...job, memberId: 'ben' })).problem(403, 'FORBIDDEN')
  ;(await client.submitter.post('/v1/jobs', { ...job, memberId: 'ben' })).problem(403, 'FORBIDDEN')
  expect((await client.admin.post('/v1/jobs', { ...job, memberId: 'ben' })).expect(202)).toMatchObject({
    memberId: 'ben',
  })
  const boundAdmin = service.as(await client.issue('tenant-admin', 'ada'))
  ;(await boundAdmin.post('/v1/jobs', { ...job, memberId: 'ben' })).problem(403, 'FORBIDDEN')
})

test('only a platform admin makes platform admins, and only for the platform', async () => {
  ;(await client.admin.post('/v1/tenants/client-1/tokens', { role: 'platform-admin' })).problem(403, 'FORBIDDEN')
  ;(await service.root.post('/v1/tenants/client-1/tokens', { role: 'platform-admin' })).problem(400, 'REQUEST_INVALID')
  const issued = (await service.root.post('/v1/tenants/platform/tokens', { role: 'platform-admin' })).expect(201)
  const admin = service.as(issued['token'] as string)
  ;(await admin.post('/v1/price-books', starterBook())).expect(201)
  ;(await admin.get('/v1/jobs')).problem(403, 'FORBIDDEN')
})

describe('a platform admin in a tenant', () => {
  const factsOf = async (tenantId: string): Promise<AuditFact[]> =>
    (await service.database.asTenant(tenantId, (tx) => auditPage(tx, tenantId, { limit: 1_000 }))).items
  const actsOf = async (tenantId: string) => (await factsOf(tenantId)).filter(({ type }) => type === 'AdminActed')
  const unjustified = () => service.as(rootToken)
  const because = (why: string) => ({ headers: { 'X-PF3-Justification': why } })

  test('is refused everywhere without a reason, and leaves no trace', async () => {
    // Not what the owner does by itself, such as telling ancestors of jobs of the tests before.
    const asked = async () => (await factsOf('client-1')).filter(({ actor }) => actor !== 'owner').length
    const before = await asked()
    for (const row of matrix.filter(([, path, allowed]) => path.includes('/client-1') && allowed.includes('p'))) {
      const [method, path, allowed] = row
      const isOf = (what: string) => path.includes(`/${what}`)
      const fit = isOf('members') ? { kind: 'user' } : isOf('retention') ? { contentDays: 30 } : cap
      const sound: typeof row = method === 'put' ? [method, path, allowed, fit] : row
      ;(await send(unjustified(), sound)).problem(403, 'JUSTIFICATION_REQUIRED')
    }
    ;(await unjustified().get('/v1/tenants?parentId=partner-1')).problem(403, 'JUSTIFICATION_REQUIRED')
    const tenant = { level: 'merchant', parentId: 'client-1', name: 'x', currency: 'USD', timeZone: 'UTC' }
    ;(await unjustified().post('/v1/tenants', tenant)).problem(403, 'JUSTIFICATION_REQUIRED')
    expect(await asked()).toBe(before)
  })

  test.each([
    ['nine characters', '123456789'],
    ['too many', 'x'.repeat(501)],
    ['spaces', ' '.repeat(40)],
    ['other characters', 'because of \u00e9\u00e9\u00e9\u00e9'],
  ])('%s are no reason', async (_, why) => {
    ;(await unjustified().get('/v1/tenants/client-1/caps', because(why))).problem(403, 'JUSTIFICATION_REQUIRED')
  })

  test('has its reason on record before the act, with who, what and where', async () => {
    const reason = 'Support case 4711: the admin lost its token'
    const sent = { headers: { ...because(reason).headers, 'X-Request-Id': 'case-4711' } }
    const { id } = (await unjustified().post('/v1/tenants/client-1/tokens', { role: 'reader' }, sent)).expect(201)
    const [issued, acted] = (await factsOf('client-1')).filter(({ correlationId }) => correlationId === 'case-4711')
    expect(issued).toMatchObject({ type: 'TokenIssued', body: { tokenId: id } })
    expect(acted).toMatchObject({
      type: 'AdminActed',
      stream: 'accounts',
      actor: 'token:root',
      body: {
        justification: reason,
        method: 'POST',
        route: '/v1/tenants/{t}/tokens',
        path: '/v1/tenants/client-1/tokens',
      },
    })
    expect(acted?.seq).toBeLessThan(issued?.seq ?? 0n)
    ;(await unjustified().delete(`/v1/tenants/client-1/tokens/${id}`, because('x'.repeat(500)))).expect(204)
    expect((await actsOf('client-1'))[0]?.body).toMatchObject({ path: `/v1/tenants/client-1/tokens/${id}` })
  })

  test('is on record also for looking, and once for every time', async () => {
    const before = (await actsOf('client-1')).length
    for (const path of ['/v1/tenants/client-1', '/v1/tenants/client-1/caps', '/v1/tenants?parentId=client-1']) {
      ;(await unjustified().get(path, because('Quarterly look'))).expect(200)
      ;(await unjustified().get(path, because('Quarterly look'))).expect(200)
    }
    expect((await actsOf('client-1')).length).toBe(before + 6)
  })

  test('does nothing while the reason cannot be put on record', async () => {
    const { api, url } = await service.openDoor({ answerWaitMs: 0 })
    const before = (await factsOf('client-1')).filter(({ type }) => type === 'TokenIssued').length
    const answer = await clientOf(url, rootToken).post(
      '/v1/tenants/client-1/tokens',
      { role: 'reader' },
      because('An impatient door'),
    )
    answer.problem(503, 'LOG_UNAVAILABLE')
    await expect.poll(async () => (await actsOf('client-1'))[0]?.body['justification']).toBe('An impatient door')
    expect((await factsOf('client-1')).filter(({ type }) => type === 'TokenIssued').length).toBe(before)
    await api.stop()
  })

  test("needs none for what is the whole platform's, and for what is nobody's", async () => {
    ;(await unjustified().post('/v1/price-books', starterBook())).expect(201)
    const tenant = { id: 'at-the-root', level: 'partner', name: 'x', currency: 'USD', timeZone: 'UTC' }
    ;(await unjustified().post('/v1/tenants', tenant)).expect(201)
    ;(await unjustified().get('/v1/tenants')).expect(200)
    ;(await unjustified().get('/v1/tenants/platform/tokens')).expect(200)
    ;(await unjustified().get('/v1/tenants/nowhere/caps')).problem(404, 'NOT_FOUND')
    expect(await actsOf('at-the-root')).toEqual([])
  })

  test('has to say why also as a tenant admin of the platform, below which everybody is', async () => {
    const issued = (await service.root.post('/v1/tenants/platform/tokens', { role: 'tenant-admin' })).expect(201)
    const admin = service.as(String(issued['token']))
    const before = (await actsOf('client-1')).length
    const token = { role: 'tenant-admin' }
    ;(await admin.post('/v1/tenants/client-1/tokens', token)).problem(403, 'JUSTIFICATION_REQUIRED')
    ;(await admin.post('/v1/tenants/client-1/tokens', token, because('Its admin lost the last one'))).expect(201)
    ;(await admin.get('/v1/tenants/platform/caps')).expect(200)
    expect((await actsOf('client-1')).length).toBe(before + 1)
  })

  test('is the only one who is asked', async () => {
    const before = (await actsOf('client-1')).length
    ;(await client.admin.get('/v1/tenants/client-1/caps', because('I am the tenant itself'))).expect(200)
    ;(await partner.admin.get('/v1/tenants/client-1')).expect(200)
    expect((await actsOf('client-1')).length).toBe(before)
  })
})

test('roles are written with hyphens, in what is asked, answered and listed', async () => {
  for (const role of ['tenant-admin', 'submitter', 'reader']) {
    const issued = (await client.admin.post('/v1/tenants/client-1/tokens', { role })).expect(201)
    expect(issued).toMatchObject({ role })
    const { tokens } = (await client.admin.get('/v1/tenants/client-1/tokens')).expect(200)
    expect(tokens).toContainEqual(expect.objectContaining({ id: issued['id'], role }))
  }
  ;(await client.admin.post('/v1/tenants/client-1/tokens', { role: 'tenant_admin' })).problem(400, 'REQUEST_INVALID')
})

test('a token stops working when it expires', async () => {
  const expiresAt = new Date(Date.now() + 1_500).toISOString()
  const { token } = (await client.admin.post('/v1/tenants/client-1/tokens', { role: 'reader', expiresAt })).expect(201)
  await expect
    .poll(async () => (await service.as(token as string).get('/v1/jobs')).status, { timeout: 20_000 })
    .toBe(401)
})

test.each([
  ['no scheme', rootToken],
  ['another scheme', `Basic ${rootToken}`],
  ['two tokens', `Bearer ${rootToken} ${rootToken}`],
  ['nothing after the scheme', 'Bearer '],
  ['nearly the root token', `Bearer ${rootToken}x`],
  ['the hash of a token', `Bearer ${hash}`],
])('%s is not a credential', async (_, authorization) => {
  const answer = await service.as('').get('/v1/tenants', { headers: { Authorization: authorization } })
  answer.problem(401, 'UNAUTHENTICATED')
})

test.each([
  ['a word', 'Bearer abc', 'has not the form of a token'],
  ['no scheme', rootToken, 'in the header Authorization'],
])('%s in the place of a token: the answer says what is wrong', async (_, authorization, says) => {
  const answer = await service.as('').get('/v1/tenants', { headers: { Authorization: authorization } })
  expect(answer.problem(401, 'UNAUTHENTICATED').detail).toContain(says)
})

test('the scheme may be written in any case', async () => {
  ;(await service.as('').get('/v1/tenants', { headers: { Authorization: `bEARER ${rootToken}` } })).expect(200)
})
