/** Content goes when its time has come or when it is asked for; what was counted, charged and decided stays. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTenant, type Service, startService } from '../../api/testing/service.ts'
import { type Keeper, startKeeper } from '../../bin/keeper.ts'
import { systemClock, systemRandom } from '../../platform/clock.ts'
import { startOfFacts } from '../../platform/log/log.ts'
import { parsePriceBook } from '../../pricing/index.ts'
import { replay } from '../../processors/rating/replay.ts'
import { requestAppender } from '../../producers/index.ts'
import { memoryCodec } from '../../producers/testing/rig.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { wholeDump } from './whole-dump.ts'

const canaries = 1_000
const dayMs = 86_400_000
let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
let other: typeof tenant
let laterMs = 0
let keeper: Keeper
const faults: unknown[] = []
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
  other = await openTenant(service, 'other')
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs }
  keeper = startKeeper({
    database: service.database,
    vault: service.vaultAt(clock),
    appender: requestAppender({ log: service.log, codec: memoryCodec, clock, random: systemRandom }),
    clock,
    contentDaysDefault: 30,
    onFault: (error) => void faults.push(error),
    erasureEveryMs: 3_600_000,
    retentionEveryMs: 3_600_000,
  })
}, 60_000)
afterAll(async () => {
  await keeper.stop()
  await service.stop()
})

type Owner = typeof tenant
const sentiment = (text: string) => ({ capability: 'classify.sentiment', input: { text } })
const run = async (who: Owner, text: string): Promise<string> =>
  (await who.submitter.post('/v1/jobs?wait=30', sentiment(text))).expect(200)['id'] as string
const jobOf = async (who: Owner, id: string) => (await who.reader.get(`/v1/jobs/${id}`)).expect(200)
const period = () => new Date().toISOString().slice(0, 7)
const ledgerOf = async (who: Owner) =>
  (await who.reader.get(`/v1/billing/ledger?period=${period()}&limit=1000`)).expect(200)['lines']

async function factsOf(partition: number): Promise<Fact[]> {
  const { seq } = await service.log.committed(partition)
  const { facts } = await service.log.readFacts(partition, startOfFacts, { recordsMax: Number(seq), waitMs: 0 })
  return facts.map(({ value }) => memoryCodec.decode(value) as Fact)
}

test('content is kept as many days as the tenant says, from 7 to 90, by default 30', async () => {
  const path = '/v1/tenants/harbor/retention'
  expect((await tenant.admin.get(path)).expect(200)).toEqual({ contentDays: 30, isDefault: true })
  for (const contentDays of [6, 91, 7.5, -1, '7', null])
    (await tenant.admin.put(path, { contentDays })).problem(400, 'REQUEST_INVALID')
  expect((await tenant.admin.put(path, { contentDays: 7 })).expect(200)).toEqual({ contentDays: 7, isDefault: false })
  const [mine, theirs] = [await run(tenant, 'fine'), await run(other, 'fine')]

  laterMs = 7 * dayMs
  await keeper.sweep()
  expect(await jobOf(tenant, mine)).toMatchObject({ status: 'succeeded', result: {} })
  laterMs = 8 * dayMs
  await keeper.sweep()
  const job = await jobOf(tenant, mine)
  expect(job).toMatchObject({ status: 'succeeded', resultExpired: true })
  expect(job).not.toHaveProperty('result')
  ;(await tenant.reader.get(`/v1/jobs/${mine}/result`)).problem(410, 'VAULT_MISSING')
  expect((await other.reader.get(`/v1/jobs/${theirs}/result`)).expect(200)).toHaveProperty('result.sentiment')
  ;(await other.reader.get(`/v1/jobs/${mine}/result`)).problem(404, 'NOT_FOUND')
  expect(await jobOf(other, theirs)).toHaveProperty('result')
  laterMs = 31 * dayMs
  await keeper.sweep()
  expect(await jobOf(other, theirs)).toMatchObject({ resultExpired: true })
  laterMs = 0
  expect(await jobOf(tenant, await run(tenant, 'fine'))).toHaveProperty('result')
})

test('a tenant that has not said so keeps content as long as the nearest tenant above that has', async () => {
  const partner = await openTenant(service, 'partner', { level: 'partner' })
  const client = await openTenant(service, 'client', { level: 'client', parentId: 'partner' })
  const merchant = await openTenant(service, 'merchant', { level: 'merchant', parentId: 'client' })
  const of = async (who: Owner) => (await who.admin.get(`/v1/tenants/${who.id}/retention`)).expect(200)
  const say = async (who: Owner, contentDays: number) =>
    (await who.admin.put(`/v1/tenants/${who.id}/retention`, { contentDays })).expect(200)
  expect(await of(merchant)).toEqual({ contentDays: 30, isDefault: true })
  await say(partner, 9)
  expect(await of(merchant)).toEqual({ contentDays: 9, isDefault: true })
  await say(client, 12)
  expect([await of(merchant), await of(client), await of(partner)]).toEqual([
    { contentDays: 12, isDefault: true },
    { contentDays: 12, isDefault: false },
    { contentDays: 9, isDefault: false },
  ])
  expect(await say(merchant, 40)).toEqual({ contentDays: 40, isDefault: false })
  expect(await of(client)).toEqual({ contentDays: 12, isDefault: false })
  const [inheriting, own] = [await run(client, 'fine'), await run(merchant, 'fine')]
  laterMs = 13 * dayMs
  await keeper.sweep()
  laterMs = 0
  expect(await jobOf(client, inheriting)).toMatchObject({ resultExpired: true })
  expect(await jobOf(merchant, own)).toHaveProperty('result')
})

test('what is stored after an erasure stays, also while no view shows yet that it was carried out', async () => {
  const owner = await openTenant(service, 'lagging')
  ;(await owner.admin.post('/v1/tenants/lagging/erasures', undefined)).expect(202)
  await keeper.sweep()
  const id = await run(owner, 'fine')
  const done = await service.database.asService((tx) =>
    tx.query("UPDATE erasure_list SET erased_at = NULL WHERE tenant_id = 'lagging' RETURNING erasure_id"),
  )
  expect(done.rowCount).toBe(1)
  await keeper.sweep()
  expect(await jobOf(owner, id)).toHaveProperty('result')
})

test('a label set that was erased serves no job any more, and every job again once it is registered anew', async () => {
  const owner = await openTenant(service, 'sorting')
  const register = async () =>
    (
      await owner.admin.put('/v1/label-sets/marks', {
        labels: ['yes', 'no'],
        examples: [
          { text: 'gladly', label: 'yes' },
          { text: 'never', label: 'no' },
        ],
      })
    ).expect(200)
  const sort = async () => {
    const job = { capability: 'classify.category', params: { labelSetId: 'marks' }, input: { text: 'gladly' } }
    return (await owner.submitter.post('/v1/jobs?wait=30', job)).expect(200)
  }
  await register()
  expect(await sort()).toMatchObject({ status: 'succeeded' })
  ;(await owner.admin.post('/v1/tenants/sorting/erasures', undefined)).expect(202)
  await keeper.sweep()
  for (let n = 0; n < 2; n++)
    expect(await sort()).toMatchObject({ status: 'failed', failure: { code: 'INPUT_UNREADABLE' } })
  await register()
  for (let n = 0; n < 2; n++) expect(await sort()).toMatchObject({ status: 'succeeded' })
})

test(`of ${canaries} canaries none is left after an erasure; ledger and replay are as they were`, async () => {
  const canary = (n: number) => `canary-${n}-7f3a9`
  const labelSet = {
    labels: ['yes', 'no'],
    examples: [
      { text: canary(0), label: 'yes' },
      { text: canary(1), label: 'no' },
    ],
  }
  ;(await tenant.admin.put('/v1/label-sets/marks', labelSet)).expect(200)
  const key = { headers: { 'Idempotency-Key': 'canaries' } }
  const jobs = Array.from({ length: canaries - 2 }, (_, n) => sentiment(canary(n + 2)))
  const batch = (await tenant.submitter.post('/v1/jobs/batch', { jobs }, key)).expect(200)
  const ids = (batch['results'] as { id: string }[]).map(({ id }) => id)
  await Promise.all(ids.slice(-50).map((id) => tenant.reader.get(`/v1/jobs/${id}?wait=60`)))
  await expect
    .poll(async () => (await tenant.reader.get('/v1/jobs?status=admitted&limit=1')).body['jobs'], { timeout: 60_000 })
    .toEqual([])
  ;(await tenant.submitter.post('/v1/jobs', { ...sentiment(canary(5)), nonsense: canary(6) })).problem(
    400,
    'REQUEST_INVALID',
  )
  const before = { ledger: await ledgerOf(tenant), dump: await wholeDump(service.database) }
  // What is stored is sealed, so that even before no table has it in the clear.
  expect(before.dump.text).not.toContain('canary-')
  const sealedBefore = before.dump.rowsOf('vault_payload', 'harbor')
  expect(sealedBefore).toBeGreaterThan(canaries)

  const asked = (await tenant.admin.post('/v1/tenants/harbor/erasures', undefined)).expect(202)
  expect(asked).toMatchObject({ status: 'requested', erasedAt: null })
  await keeper.sweep()
  const path = `/v1/tenants/harbor/erasures/${String(asked['id'])}`
  await expect.poll(async () => (await tenant.admin.get(path)).body['status']).toBe('done')
  const done = (await tenant.admin.get(path)).expect(200)
  expect(done['contents']).toBe(sealedBefore)
  await keeper.sweep() // Carried out once, however often it is looked at.
  expect((await tenant.admin.get(path)).expect(200)).toEqual(done)
  expect((await tenant.admin.get('/v1/tenants/harbor/erasures')).expect(200)['erasures']).toEqual([done])

  const after = await wholeDump(service.database)
  expect(after.text).not.toContain('canary-')
  expect([after.rowsOf('vault_payload', 'harbor'), after.rowsOf('vault_key', 'harbor')]).toEqual([0, 0])
  for (const id of ids.slice(0, 20)) expect(await jobOf(tenant, id)).toMatchObject({ resultExpired: true })
  for (let partition = 0; partition < service.log.partitionCount; partition++)
    expect(JSON.stringify(await factsOf(partition), (_, v) => (typeof v === 'bigint' ? String(v) : v))).not.toContain(
      'canary-',
    )
  expect(JSON.stringify(service.logged)).not.toContain('canary-')

  // Nothing that was counted changed, and it can still be derived again from the facts.
  expect(await ledgerOf(tenant)).toEqual(before.ledger)
  const facts = (await Promise.all(Array.from({ length: service.log.partitionCount }, (_, p) => factsOf(p)))).flat()
  const books = new Map(
    facts.flatMap((fact) => {
      const parsed = fact.type === 'PriceBookPublished' ? parsePriceBook(fact.book) : undefined
      return parsed?.ok ? [[parsed.book.hash, parsed.book] as const] : []
    }),
  )
  const report = await replay([facts], { tenantId: 'harbor', period: period(), bookByHash: (hash) => books.get(hash) })
  expect([report.endedJobs > canaries - 2, report.deltas]).toEqual([true, []])

  // And the tenant goes on, under new keys.
  expect(await jobOf(tenant, await run(tenant, 'fine again'))).toHaveProperty('result')
  ;(await tenant.admin.put('/v1/label-sets/marks', labelSet)).expect(200)
}, 180_000)

test("an erasure of one tenant touches no other's content, and asks for an admin", async () => {
  const id = await run(other, 'fine')
  ;(await tenant.admin.post('/v1/tenants/other/erasures', undefined)).problem(404, 'NOT_FOUND')
  ;(await tenant.submitter.post('/v1/tenants/harbor/erasures', undefined)).problem(403, 'FORBIDDEN')
  ;(await tenant.admin.post('/v1/tenants/harbor/erasures', undefined)).expect(202)
  await keeper.sweep()
  expect(await jobOf(other, id)).toHaveProperty('result')
  ;(await tenant.admin.get('/v1/tenants/harbor/erasures/era_none')).problem(404, 'NOT_FOUND')
  expect([faults, service.logged]).toEqual([[], []])
})
