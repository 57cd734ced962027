/** What a partner sees of its clients over HTTP: the sums of their ledgers and usage, and nothing else. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

type Tenant = Awaited<ReturnType<typeof openTenant>>
type Sums = { group?: string; currency: string; jobs: number; charged: string; inputUncachedTokens: number }

let service: Service
let partner: Tenant
let other: Tenant
let clients: Tenant[]
let merchant: Tenant
const today = new Date().toISOString().slice(0, 10)
const dayBeside = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
const range = `from=${dayBeside(-1)}&to=${dayBeside(1)}`
const texts = ['A very good day.', 'That was bad.', 'Fine.']

beforeAll(async () => {
  service = await startService()
  partner = await openTenant(service, 'partner-1', { level: 'partner' })
  other = await openTenant(service, 'partner-2', { level: 'partner' })
  clients = await Promise.all(
    ['harbor', 'quay'].map((id) => openTenant(service, id, { parentId: 'partner-1', timeZone: 'Africa/Lagos' })),
  )
  merchant = await openTenant(service, 'stall', { level: 'merchant', parentId: 'harbor' })
  for (const { submitter } of [...clients, merchant]) {
    for (const text of texts)
      (await submitter.post('/v1/jobs?wait=30', { capability: 'classify.sentiment', input: { text } })).expect(200)
  }
  await arrived(partner.reader, 9)
  await arrived(clients[0]?.reader as Client, 3)
  await arrived(service.root, 9)
}, 120_000)
afterAll(() => service.stop())

async function rollups(who: Client, more = '') {
  const { groups, totals, next } = (await who.get(`/v1/rollups?${range}${more}`)).expect(200)
  return { groups: groups as Sums[], totals: totals as Sums[], next: next as string | null }
}

/** Waits until all that was rated has been told. */
async function arrived(who: Client, jobs: number): Promise<void> {
  for (const end = Date.now() + 30_000; ; ) {
    const { totals } = await rollups(who)
    if (totals.reduce((sum, one) => sum + one.jobs, 0) === jobs) return
    if (Date.now() > end) throw new Error(`not told in time: ${JSON.stringify(totals)}`)
    await sleep(20)
  }
}

test('a group for every tenant below, to the last unit what that tenant sees of itself', async () => {
  const { groups } = await rollups(partner.reader, '&groupBy=tenant')
  expect(groups.map(({ group }) => group)).toEqual(['harbor', 'quay', 'stall'])
  for (const { id, reader } of [...clients, merchant]) {
    const usage = (await reader.get(`/v1/usage?${range}`)).expect(200)['total'] as Record<string, unknown>
    const group = groups.find((one) => one.group === id)
    for (const [name, value] of Object.entries(group ?? {}))
      if (!['group', 'currency'].includes(name)) expect([id, name, value]).toEqual([id, name, usage[name]])
    const period = today.slice(0, 7)
    const ofPeriod = await rollups(partner.reader, `&groupBy=tenant&period=${period}`)
    const ledger = (await reader.get(`/v1/billing/ledger?period=${period}`)).expect(200)['total']
    const { jobs, charged } = ofPeriod.groups.find((one) => one.group === id) ?? { jobs: 0, charged: '0' }
    expect({ jobs, amount: charged }).toMatchObject({
      jobs: (ledger as { jobs: number }).jobs,
      amount: (ledger as { amount: string }).amount,
    })
  }
})

test('by day and by billing period; page by page; the totals are of everything asked for', async () => {
  const [whole] = (await rollups(partner.admin, '&groupBy=day')).totals
  expect(whole).toMatchObject({ jobs: 9, currency: 'USD' })
  const periods = await rollups(partner.admin, '&groupBy=period')
  expect(periods.groups.reduce((sum, { jobs }) => sum + jobs, 0)).toBe(9)
  const seen: (string | undefined)[] = []
  for (let cursor = ''; ; ) {
    const page = await rollups(partner.admin, `&groupBy=tenant&limit=1${cursor}`)
    seen.push(...page.groups.map(({ group }) => group))
    expect(page.totals).toEqual([whole])
    if (page.next === null) break
    cursor = `&cursor=${page.next}`
  }
  expect(seen).toEqual(['harbor', 'quay', 'stall'])
  expect((await rollups(partner.admin, '&period=2001-01')).groups).toEqual([])
})

describe('who sees what', () => {
  test('every ancestor all that is below it, the platform everything, nobody what is beside or above', async () => {
    const groupsOf = async (who: Client) => (await rollups(who, '&groupBy=tenant')).groups.map(({ group }) => group)
    expect(await groupsOf(clients[0]?.reader as Client)).toEqual(['stall'])
    expect(await groupsOf(merchant.admin)).toEqual([])
    expect(await groupsOf(other.admin)).toEqual([])
    expect(await groupsOf(service.root)).toEqual(['harbor', 'quay', 'stall'])
  })

  test('not a row of a tenant below, nor a job of it', async () => {
    expect((await partner.reader.get(`/v1/usage?${range}`)).expect(200)['total']).toMatchObject({ jobs: 0 })
    expect((await partner.reader.get('/v1/jobs')).expect(200)['jobs']).toEqual([])
    const { rows } = await service.database.asTenant('partner-1', (tx) =>
      tx.query<{ tenant_id: string }>('SELECT DISTINCT tenant_id FROM rollup'),
    )
    expect(rows).toEqual([{ tenant_id: 'partner-1' }])
  })
})

test.each([
  ['', ['query.from', 'query.to']],
  ['from=2026-01-02&to=2026-01-01', ['query.to']],
  ['from=2026-02-30&to=2026-03-01', ['query.from']],
  ['from=2026-01-01&to=2026-01-01&groupBy=member', ['query.groupBy']],
  ['from=2026-01-01&to=2026-01-01&period=2026-13', ['query.period']],
  ['from=2026-01-01&to=2026-01-01&limit=0', ['query.limit']],
  ['from=2026-01-01&to=2026-01-01&limit=1001', ['query.limit']],
  ['from=2026-01-01&to=2026-01-01&tenant=harbor', ['query.tenant']],
  [`from=2026-01-01&to=2026-01-01&cursor=${Buffer.from('["harbor","USD"]').toString('base64url')}`, ['query.cursor']],
])('bad input is refused: %s', async (query, wrong) => {
  const { errors = [] } = (await partner.admin.get(`/v1/rollups?${query}`)).problem(400, 'REQUEST_INVALID')
  expect(errors.map(({ where }) => where)).toEqual(wrong)
})

test("a cursor of another's list, or of another grouping, is not one", async () => {
  const { next } = await rollups(partner.admin, '&groupBy=tenant&limit=1')
  for (const [who, groupBy] of [
    [service.root, 'tenant'],
    [partner.admin, 'day'],
  ] as const)
    (await who.get(`/v1/rollups?${range}&groupBy=${groupBy}&cursor=${next}`)).problem(400, 'REQUEST_INVALID')
})

test('a submitter sees none', async () => {
  ;(await partner.submitter.get(`/v1/rollups?${range}`)).problem(403, 'FORBIDDEN')
})
