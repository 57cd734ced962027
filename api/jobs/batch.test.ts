import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limitDefaults } from '../limits/limits.ts'
import type { Client, Sent } from '../testing/client.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const job = { capability: 'classify.sentiment', input: { text: 'What a lovely day.' } }
type Job = { id: string; status: string; charged: string | null; result?: { sentiment: string } }
type Result = {
  index: number
  id?: string
  isNew?: boolean
  job?: Job
  problem?: { code: string; errors?: { where: string }[] }
}
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

test('without keys everything sent is new, one by one and in batches', async () => {
  const batches = [await send([job, job]), await send([job, job])].flatMap((sent) => resultsOf(sent.expect(200)))
  const singles = [await tenant.submitter.post('/v1/jobs', job), await tenant.submitter.post('/v1/jobs', job)]
  expect(batches.map(({ isNew }) => isNew)).toEqual([true, true, true, true])
  const ids = [...batches.map(({ id }) => id), ...singles.map((sent) => sent.expect(202)['id'])]
  expect(new Set(ids).size).toBe(6)
})

test("a job's own key is that of a single submission, and stands for one body", async () => {
  const single = (await tenant.submitter.post('/v1/jobs', job, { headers: { 'Idempotency-Key': 'mine' } })).expect(202)
  const other = { ...job, input: { text: 'Another text.' }, key: 'mine' }
  const [same, conflict] = resultsOf((await send([{ ...job, key: 'mine' }, other])).expect(200))
  expect(same).toEqual({ index: 0, id: single['id'], isNew: false })
  expect(conflict?.problem).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
})

test('a key that another token of the tenant has used for another member is refused, and why is said', async () => {
  const headers = { 'Idempotency-Key': 'shared by tokens' }
  const ofMember = async (member: string) => service.as(await tenant.issue('submitter', member))
  const [ada, hers, ben] = await Promise.all([ofMember('ada'), ofMember('ada'), ofMember('ben')])
  const { id } = (await ada.post('/v1/jobs', job, { headers })).expect(202)
  const repeated = await hers.post('/v1/jobs', job, { headers })
  expect([repeated.status < 300, repeated.body['id']]).toEqual([true, id])
  const { detail } = (await ben.post('/v1/jobs', job, { headers })).problem(409, 'IDEMPOTENCY_CONFLICT')
  expect(detail).toContain('the member a job is for counts as part of the body')
  const [inBatch] = resultsOf((await send([{ ...job, key: 'shared by tokens' }], undefined, ben)).expect(200))
  expect(inBatch?.problem).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', detail })
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

describe('with wait', () => {
  const ask = (jobs: unknown[], waitS: number, sent: Sent = {}, who: Client = tenant.submitter) =>
    who.post(`/v1/jobs/batch?wait=${waitS}`, { jobs }, sent)
  const endless = { capability: 'generate.text', input: { prompt: 'for ever' } }
  let waiting: Awaited<ReturnType<typeof openTenant>>
  beforeAll(async () => {
    waiting = await openTenant(service, 'waiting')
    service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  })
  const endAll = async (results: readonly Result[]) => {
    for (const { id } of results) (await waiting.submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)
  }

  test('it answers when all that were taken have ended, each with its job as a single answer has it', async () => {
    const jobs = [...Array.from({ length: 20 }, () => job), { ...job, capability: 'nothing' }]
    const results = resultsOf((await ask(jobs, 60, {}, waiting.submitter)).expect(200))
    expect(results.slice(0, 20).map(({ job }) => [job?.status, job?.result?.sentiment])).toEqual(
      Array(20).fill(['succeeded', 'positive']),
    )
    expect(results[20]).toMatchObject({ problem: { code: 'REQUEST_INVALID' } })
    const [first] = results
    expect(first?.job).toEqual((await waiting.reader.get(`/v1/jobs/${first?.id}`)).expect(200))
  })

  test('repeated, it answers with the ends of the jobs that were made before, one given twice in both places', async () => {
    const jobs = ['a', 'a', 'b'].map((key) => ({ ...job, key: `again-${key}` }))
    const first = resultsOf((await ask(jobs, 0, {}, waiting.submitter)).expect(200))
    expect(first.every((result) => result.job === undefined)).toBe(true)
    const again = resultsOf((await ask(jobs, 60, {}, waiting.submitter)).expect(200))
    expect(again.map(({ id, isNew, job }) => [id, isNew, job?.id, job?.status])).toEqual(
      first.map(({ id }) => [id, false, id, 'succeeded']),
    )
    const conflict = { ...job, input: { text: 'Another text.' }, key: 'again-a' }
    const [refused, taken] = resultsOf((await ask([conflict, jobs[2]], 60, {}, waiting.submitter)).expect(200))
    expect([refused?.problem?.code, taken?.job?.status]).toEqual(['IDEMPOTENCY_CONFLICT', 'succeeded'])
  })

  test('a batch of which nothing is taken does not wait', async () => {
    const answer = (await ask([{ ...job, input: {} }], 60, {}, waiting.submitter)).expect(200)
    expect(answer).toMatchObject({ accepted: 0, refused: 1 })
  })

  test('when the time is over it answers with every job as it stands', async () => {
    const results = resultsOf((await ask([job, endless], 2, {}, waiting.submitter)).expect(200))
    expect(results.map(({ job }) => job?.status)).toEqual(['succeeded', 'running'])
    await endAll(results.slice(1))
  })

  test('a tenant is shown its own jobs only, also where the keys are those of another', async () => {
    const mine = resultsOf((await ask([{ ...job, key: 'shared' }], 60, {}, waiting.submitter)).expect(200))
    const sad = { ...job, input: { text: 'What a sad day.' }, key: 'shared' }
    const other = await openTenant(service, 'stranger')
    const theirs = resultsOf((await ask([sad], 60, {}, other.submitter)).expect(200))
    expect([mine[0]?.job?.result?.sentiment, theirs[0]?.job?.result?.sentiment]).toEqual(['positive', 'negative'])
    expect(theirs[0]?.id).not.toBe(mine[0]?.id)
  })

  test('a caller who only waits leaves its place, and one who hangs up gives back everything', async () => {
    const limits = { ...limitDefaults, workingMax: 1, openPerTenantMax: 1 }
    const { api, url } = await service.openDoor({ limits })
    const send = (token: string, signal?: AbortSignal) => {
      const headers = {
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': 'left',
      }
      const body = JSON.stringify({ jobs: [endless] })
      return fetch(`${url}/v1/jobs/batch?wait=60`, { method: 'POST', headers, body, ...(signal && { signal }) })
    }
    const get = (token: string) => fetch(`${url}/v1/caps/standing`, { headers: { Authorization: `Bearer ${token}` } })
    const leaving = new AbortController()
    const left = send(waiting.tokens.submitter, leaving.signal)
    await expect.poll(async () => (await get(waiting.tokens.reader)).status).toBe(429)
    expect((await get(tenant.tokens.reader)).status).toBe(200)
    leaving.abort()
    await expect(left).rejects.toThrow()
    await expect.poll(async () => (await get(waiting.tokens.reader)).status).toBe(200)
    await api.stop()
    const [made] = resultsOf(
      (await ask([endless], 0, { headers: { 'Idempotency-Key': 'left' } }, waiting.submitter)).expect(200),
    )
    expect(made?.isNew).toBe(false)
    if (made) await endAll([made])
  })
})
