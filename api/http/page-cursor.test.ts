/** A cursor goes on in the list it was given out for, and in no other. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTenant, type Service, startService } from '../testing/service.ts'
import { openCursor, sealCursor } from './page-cursor.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

test('pages follow one another whatever their size; under other filters, tenants, lists or doors the cursor is none', async () => {
  for (let job = 0; job < 5; job++)
    (
      await tenant.submitter.post('/v1/jobs?wait=30', { capability: 'classify.sentiment', input: { text: `${job}` } })
    ).expect(200)
  const filters = 'status=succeeded&capability=classify.sentiment'
  const ids: unknown[] = []
  let next: unknown = null
  const sizes = [2, 1, 2]
  for (const limit of sizes) {
    const path = `/v1/jobs?${filters}&limit=${limit}${next === null ? '' : `&cursor=${String(next)}`}`
    const page = (await tenant.reader.get(path)).expect(200)
    ids.push(...(page['jobs'] as { id: string }[]).map(({ id }) => id))
    next = page['next']
  }
  expect([ids.length, new Set(ids).size, next]).toEqual([5, 5, null])

  const first = (await tenant.reader.get(`/v1/jobs?${filters}&limit=2`)).expect(200)
  const cursor = String(first['next'])
  ;(await tenant.reader.get(`/v1/jobs?capability=classify.sentiment&cursor=${cursor}&status=succeeded`)).expect(200)
  const other = await openTenant(service, 'other')
  const refused: [who: typeof tenant.reader, path: string][] = [
    [tenant.reader, `/v1/jobs?status=failed&capability=classify.sentiment&cursor=${cursor}`],
    [tenant.reader, `/v1/jobs?cursor=${cursor}`],
    [tenant.reader, `/v1/jobs?${filters}&memberId=ada&cursor=${cursor}`],
    [tenant.reader, `/v1/label-sets?cursor=${cursor}`],
    [other.reader, `/v1/jobs?${filters}&cursor=${cursor}`],
    [tenant.reader, `/v1/jobs?${filters}&cursor=${cursor.slice(0, -1)}`],
    [tenant.reader, `/v1/jobs?${filters}&cursor=${cursor.split('.')[0]}`],
    [tenant.reader, `/v1/jobs?${filters}&cursor=`],
  ]
  for (const [who, path] of refused) {
    const { errors = [] } = (await who.get(path)).problem(400, 'REQUEST_INVALID')
    expect([path, errors.map(({ where }) => where)]).toEqual([path, ['query.cursor']])
  }
})

test('whoever does not have the key cannot make one', () => {
  const asked = { tenantId: 't', path: '/v1/jobs', params: {}, query: { status: 'failed' } }
  const key = new Uint8Array(32).fill(1)
  const cursor = sealCursor(key, asked, 'abc')
  expect(openCursor(key, { ...asked, query: { limit: '5', cursor, status: 'failed' } }, cursor)).toBe('abc')
  const foreign = sealCursor(new Uint8Array(32).fill(2), asked, 'abc')
  for (const text of [foreign, `abd${cursor.slice(3)}`, '', '.', `${cursor}x`])
    expect(() => openCursor(key, asked, text), text).toThrow(/fields? .* wrong/)
})
