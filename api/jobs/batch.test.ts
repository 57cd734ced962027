import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Client } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const job = { capability: 'classify.sentiment', input: { text: 'What a lovely day.' } }
type Result = { index: number; id?: string; isNew?: boolean; problem?: { code: string; errors?: { where: string }[] } }
const resultsOf = (body: Record<string, unknown>) => body['results'] as Result[]
const send = (jobs: unknown[], key?: string, who: Client = tenant.submitter) =>
  who.post('/v1/jobs/batch', { jobs }, { headers: key === undefined ? {} : { 'Idempotency-Key': key } })

test('every job is taken or refused by itself, in order, and those taken run', async () => {
  const answer = (await send([job, { ...job, capability: 'nothing' }, { ...job, input: {} }, 7, job])).expect(200)
  expect(answer).toMatchObject({ accepted: 2, refused: 3 })
  const results = resultsOf(answer)
  expect(results.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4])
  expect(results[1]?.problem).toMatchObject({ code: 'REQUEST_INVALID', errors: [{ where: 'body.jobs[1].capability' }] })
  expect(results[2]?.problem?.errors).toMatchObject([{ where: 'body.jobs[2].input.text' }])
  expect(results[3]?.problem?.errors).toMatchObject([{ where: 'body.jobs[3]' }])
  for (const { id } of [results[0], results[4]] as Result[])
    expect((await tenant.submitter.get(`/v1/jobs/${id}?wait=30`)).expect(200)).toMatchObject({ status: 'succeeded' })
})

test('a repeated batch makes no job twice, also when it grew', async () => {
  const first = resultsOf((await send([job, job, job], 'batch-1')).expect(200))
  const again = resultsOf((await send([job, job, job, job], 'batch-1')).expect(200))
  expect(new Set(first.map(({ id }) => id)).size).toBe(3)
  expect(again.slice(0, 3).map(({ id }) => id)).toEqual(first.map(({ id }) => id))
  expect(again.map(({ isNew }) => isNew)).toEqual([false, false, false, true])
})

test("a job's own key is that of a single submission, and stands for one body", async () => {
  const single = (await tenant.submitter.post('/v1/jobs', job, { headers: { 'Idempotency-Key': 'mine' } })).expect(202)
  const other = { ...job, input: { text: 'Another text.' }, key: 'mine' }
  const [same, conflict] = resultsOf((await send([{ ...job, key: 'mine' }, other])).expect(200))
  expect(same).toEqual({ index: 0, id: single['id'], isNew: false })
  expect(conflict?.problem).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
})

test('the same key twice in one batch is one job', async () => {
  const [one, two] = resultsOf(
    (
      await send([
        { ...job, key: 'twice' },
        { ...job, key: 'twice' },
      ])
    ).expect(200),
  )
  expect(one?.id).toBeDefined()
  expect(two?.id).toBe(one?.id)
})

test('a member is named under the same rule as for one job', async () => {
  const [refused] = resultsOf((await send([{ ...job, memberId: 'ben' }])).expect(200))
  expect(refused?.problem).toMatchObject({ code: 'FORBIDDEN' })
  expect((await send([{ ...job, memberId: 'ben' }], undefined, tenant.admin)).expect(200)).toMatchObject({
    accepted: 1,
  })
})

test('ten thousand are taken to be looked at, one more is not, nor is none', async () => {
  const invalid = Array.from({ length: 10_000 }, () => 0)
  expect((await send(invalid)).expect(200)).toMatchObject({ accepted: 0, refused: 10_000 })
  const problem = (await send([...invalid, 0])).problem(400, 'REQUEST_INVALID')
  expect(problem.errors).toMatchObject([{ where: 'body.jobs', expected: 'At most 10000 items.' }])
  ;(await send([])).problem(400, 'REQUEST_INVALID')
})

test('many at once are all taken, and the caps hold over them', { timeout: 60_000 }, async () => {
  ;(
    await service.root.put('/v1/tenants/harbor/caps/few', {
      metric: 'requests',
      limit: 20,
      period: 'total',
    })
  ).expect(200)
  const results = resultsOf((await send(Array.from({ length: 600 }, () => job))).expect(200))
  expect(results.filter(({ isNew }) => isNew)).toHaveLength(600)
  const ends = await Promise.all(
    results.map(async ({ id }) => (await tenant.reader.get(`/v1/jobs/${id}?wait=60`)).expect(200)['status']),
  )
  expect(ends.filter((status) => status === 'succeeded')).toHaveLength(20)
  expect(ends.filter((status) => status === 'refused')).toHaveLength(580)
})
