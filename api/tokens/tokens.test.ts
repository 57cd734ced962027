/** The life of a token: how long it may be, when it was last used, and that it ends when it is said to. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientOf } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const path = '/v1/tenants/harbor/tokens'
const issue = async (body: object) => (await tenant.admin.post(path, body)).expect(201)
const listed = async (id: unknown) => {
  const { tokens } = (await tenant.admin.get(`${path}?limit=1000`)).expect(200)
  return (tokens as Record<string, unknown>[]).find((token) => token['id'] === id)
}

test('a token has a prefix and 256 bits, and nothing that is kept or listed can be used as one', async () => {
  const { id, token } = await issue({ role: 'reader' })
  expect(token).toMatch(/^pf3_[A-Za-z0-9_-]{43}$/)
  expect(Buffer.from(String(token).slice(4), 'base64url')).toHaveLength(32)
  const { rows } = await service.database.asTenant('harbor', (tx) =>
    tx.query<Record<string, unknown>>('SELECT * FROM token_list WHERE token_id = $1', [id]),
  )
  expect(rows).toHaveLength(1)
  for (const kept of [...Object.values(rows[0] ?? {}), ...Object.values((await listed(id)) ?? {})]) {
    expect(kept).not.toBe(token)
    expect((await service.as(`pf3_${kept}`).get('/v1/jobs')).status).toBe(401)
  }
})

test('it may be used no longer than ten years, and its end is in the future', async () => {
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  for (const expiresAt of [inDays(3_654), '9999-12-31T23:59:59Z', inDays(-1), new Date().toISOString()]) {
    const { errors } = (await tenant.admin.post(path, { role: 'reader', expiresAt })).problem(400, 'REQUEST_INVALID')
    expect(errors).toMatchObject([{ where: 'body.expiresAt' }])
  }
  const expiresAt = inDays(3_652)
  const { id } = await issue({ role: 'reader', expiresAt })
  expect(await listed(id)).toMatchObject({ expiresAt, state: 'active' })
})

test('when it was last used is in the list; a refused use is none', async () => {
  const used = await issue({ role: 'reader' })
  const unused = await issue({ role: 'reader' })
  const { api, url } = await service.openDoor()
  const before = Date.now()
  ;(await clientOf(url, String(used['token'])).get('/v1/jobs')).expect(200)
  ;(await clientOf(url, `${unused['token']}x`).get('/v1/jobs')).problem(401, 'UNAUTHENTICATED')
  const after = Date.now()
  expect(await listed(used['id'])).toMatchObject({ lastUsedAt: null }) // Only noted yet.
  await api.stop()
  const lastUsedMs = Date.parse(String((await listed(used['id']))?.['lastUsedAt']))
  expect(lastUsedMs).toBeGreaterThanOrEqual(before)
  expect(lastUsedMs).toBeLessThanOrEqual(after)
  expect(await listed(unused['id'])).toMatchObject({ lastUsedAt: null })
})

test('no request that begins after its revocation was answered gets through', async () => {
  for (let round = 0; round < 3; round++) {
    const { id, token } = await issue({ role: 'reader' })
    const reader = service.as(String(token))
    const seen: { beganAfter: boolean; status: number }[] = []
    let isAnswered = false
    const enough = () => seen.filter(({ beganAfter }) => beganAfter).length >= 200
    const lanes = Array.from({ length: 40 }, async () => {
      while (!enough()) {
        const beganAfter = isAnswered
        seen.push({ beganAfter, status: (await reader.get('/v1/jobs?limit=1')).status })
      }
    })
    await expect.poll(() => seen.length, { interval: 1 }).toBeGreaterThan(40)
    ;(await tenant.admin.delete(`${path}/${id}`)).expect(204)
    isAnswered = true
    await Promise.all(lanes)
    const statuses = (beganAfter: boolean) =>
      seen.filter((one) => one.beganAfter === beganAfter).map((one) => one.status)
    expect(new Set(statuses(true))).toEqual(new Set([401]))
    expect(statuses(false)).toContain(200)
  }
}, 60_000)
