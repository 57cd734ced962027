/** Members from adding to removing, over HTTP, and what that means for the credentials that speak for them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { z } from 'zod'
import type { eventReply } from '../audit/convert.ts'
import { type Issuer, type SigningKey, signed, startIssuer } from '../testing/issuer.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

let issuer: Issuer
let key: SigningKey
let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  issuer = await startIssuer()
  key = await issuer.makeKey('key')
  await issuer.publish(key)
  service = await startService({
    oidc: { issuer: issuer.url, audience: 'pf3', jwksUrl: issuer.jwksUrl, allowsPlatformAdmin: false },
  })
  tenant = await openTenant(service, 'harbor')
})
afterAll(async () => {
  await service.stop()
  await issuer.close()
})

type Event = z.infer<typeof eventReply>
const path = '/v1/tenants/harbor/members'
const status = async (token: string) => (await service.as(token).get('/v1/jobs')).status

test('members are added, listed page by page, changed and removed', async () => {
  const { admin } = tenant
  for (const [id, kind] of [
    ['c', 'user'],
    ['a', 'agent'],
    ['b', 'staff'],
  ]) {
    expect((await admin.put(`${path}/${id}`, { kind })).expect(200)).toMatchObject({ id, kind })
  }
  const first = (await admin.get(`${path}?limit=2`)).expect(200)
  expect(first['members']).toMatchObject([
    { id: 'a', kind: 'agent' },
    { id: 'b', kind: 'staff' },
  ])
  const rest = (await admin.get(`${path}?limit=2&cursor=${first['next']}`)).expect(200)
  expect(rest).toMatchObject({ members: [{ id: 'c', kind: 'user' }], next: null })
  expect((await admin.put(`${path}/b`, { kind: 'user' })).expect(200)).toMatchObject({ id: 'b', kind: 'user' })
  ;(await admin.delete(`${path}/c`)).expect(204)
  ;(await admin.delete(`${path}/never`)).problem(404, 'NOT_FOUND')
  const { members } = (await admin.get(path)).expect(200)
  expect((members as { id: string }[]).map(({ id }) => id)).toEqual(['a', 'b'])
})

test('a name has no place in a member', async () => {
  ;(await tenant.admin.put(`${path}/a`, { kind: 'user', name: 'Ada' })).problem(400, 'REQUEST_INVALID')
})

test('the tokens of a removed member end with it, in one decision; a JWT that names it does too', async () => {
  const { admin } = tenant
  ;(await admin.put(`${path}/ada`, { kind: 'staff' })).expect(200)
  const [one, two, other] = await Promise.all([
    tenant.issue('reader', 'ada'),
    tenant.issue('submitter', 'ada'),
    tenant.issue('reader', 'ben'),
  ])
  const jwt = (member: string) => signed(issuer, key, { pf3_tenant: 'harbor', pf3_role: 'reader', pf3_member: member })
  const [hers, his] = await Promise.all([jwt('ada'), jwt('ben')])
  expect(await Promise.all([one, two, other, hers, his].map(status))).toEqual([200, 200, 200, 200, 200])
  ;(await admin.delete(`${path}/ada`)).expect(204)
  expect(await Promise.all([one, two, other, hers, his].map(status))).toEqual([401, 401, 200, 401, 200])
  const events = (await admin.get('/v1/audit?limit=3')).expect(200)['events'] as Event[]
  expect(events.map(({ type }) => type)).toEqual(['TokenRevoked', 'TokenRevoked', 'MemberRemoved'])
  expect(new Set(events.map(({ causedBy }) => causedBy)).size).toBe(1)
  expect(new Set(events.map(({ occurredAt }) => occurredAt)).size).toBe(1)

  const asked = { role: 'reader', memberId: 'ada' }
  expect((await admin.post('/v1/tenants/harbor/tokens', asked)).problem(409, 'REQUEST_REFUSED')).toMatchObject({
    reason: 'member_removed',
  })
  ;(await admin.put(`${path}/ada`, { kind: 'staff' })).expect(200)
  expect(await Promise.all([one, hers].map(status))).toEqual([401, 200])
  expect(await status(await tenant.issue('reader', 'ada'))).toBe(200)
})

test('what is kept of a member is its id and its kind', async () => {
  const [added] = (await tenant.reader.get('/v1/audit?type=MemberAdded')).expect(200)['events'] as Event[]
  expect(Object.keys(added?.body ?? {}).sort()).toEqual(['kind', 'memberId'])
})
