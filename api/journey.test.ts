/** What a tenant does from its first day to its first bill, over HTTP, against the whole service. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTenant, type Service, startService } from './testing/service.ts'

let service: Service
beforeAll(async () => {
  service = await startService()
})
afterAll(() => service.stop())

const labelSet = {
  labels: ['spam', 'ham'],
  examples: [
    ...Array.from({ length: 6 }, (_, i) => ({ text: `win a free prize now offer ${i}`, label: 'spam' })),
    ...Array.from({ length: 6 }, (_, i) => ({ text: `see you at the meeting on monday ${i}`, label: 'ham' })),
  ],
}

test('register, cap, submit, read, and find the events behind every line of the bill', async () => {
  const harbor = await openTenant(service, 'harbor', { timeZone: 'Africa/Lagos' })
  expect((await harbor.reader.get('/v1/tenants/harbor')).expect(200)).toMatchObject({
    id: 'harbor',
    parentId: 'platform',
    timeZone: 'Africa/Lagos',
  })

  const cap = { metric: 'money', limit: '5', period: 'month' }
  expect((await harbor.admin.put('/v1/tenants/harbor/caps/monthly', cap)).expect(200)).toMatchObject({
    id: 'monthly',
    limit: '5',
    version: 1,
  })
  const count = { metric: 'requests', limit: 3, period: 'day', scope: { capability: 'classify.sentiment' } }
  ;(await harbor.admin.put('/v1/tenants/harbor/caps/daily', count)).expect(200)

  const registered = (await harbor.admin.put('/v1/label-sets/mails', labelSet)).expect(200)
  expect(registered).toMatchObject({ id: 'mails', labelCount: 2, exampleCount: 12 })
  expect((await harbor.reader.get('/v1/label-sets')).expect(200)['labelSets']).toEqual([registered])

  const sorted = {
    capability: 'classify.category',
    input: { text: 'a free prize offer' },
    params: { labelSetId: 'mails' },
  }
  const estimate = (await harbor.submitter.post('/v1/jobs/estimate', sorted)).expect(200)
  expect(estimate).toMatchObject({
    priced: true,
    wouldRefuse: null,
    outputTokensMax: 1,
    steps: [{ provider: 'local', model: 'linear-1' }],
  })

  const job = (
    await harbor.submitter.post('/v1/jobs?wait=30', sorted, { headers: { 'X-Request-Id': 'journey-1' } })
  ).expect(200)
  expect(job).toMatchObject({
    status: 'succeeded',
    capability: 'classify.category',
    provider: 'local',
    model: 'linear-1',
    attempts: 1,
    held: estimate['most'],
    resourceHash: registered['hash'],
    correlationId: 'journey-1',
    currency: 'USD',
  })
  expect((job['result'] as { label: string }).label).toBe('spam')

  const cheerful = { capability: 'classify.sentiment', input: { text: 'I love this wonderful day' } }
  const others = await Promise.all([1, 2, 3, 4].map(() => harbor.submitter.post('/v1/jobs?wait=30', cheerful)))
  const bodies = others.map((answer) => answer.expect(200))
  expect(bodies.filter((body) => body['status'] === 'succeeded')).toHaveLength(3)
  const refused = bodies.filter((body) => body['status'] === 'refused')
  expect(refused).toMatchObject([
    {
      charged: null,
      refusal: { reason: 'over_cap', cap: { id: 'daily', metric: 'requests', limit: 3, free: 0, needed: 1 } },
    },
  ])
  expect((await harbor.submitter.post('/v1/jobs/estimate', cheerful)).expect(200)).toMatchObject({
    wouldRefuse: 'over_cap',
  })

  const standing = (await harbor.reader.get('/v1/caps/standing')).expect(200)['caps'] as Record<string, unknown>[]
  expect(standing.map(({ id, settled, held, free }) => ({ id, settled, held, free }))).toMatchObject([
    { id: 'daily', settled: 3, held: 0, free: 0 },
    { id: 'monthly', held: '0' },
  ])

  const all = (await harbor.reader.get('/v1/jobs?limit=2')).expect(200)
  const rest = (await harbor.reader.get(`/v1/jobs?limit=10&cursor=${all['next']}`)).expect(200)
  const listed = [...(all['jobs'] as { id: string }[]), ...(rest['jobs'] as { id: string }[])]
  expect(new Set(listed.map(({ id }) => id))).toEqual(new Set([job, ...bodies].map((body) => body['id'])))
  expect(rest['next']).toBeNull()
  expect((await harbor.reader.get('/v1/jobs?status=refused')).expect(200)['jobs']).toHaveLength(1)

  const today = new Date().toISOString().slice(0, 10)
  const usage = (await harbor.reader.get(`/v1/usage?from=${today}&to=${today}&groupBy=capability`)).expect(200)
  expect(usage['total']).toMatchObject({ jobs: 4, succeeded: 4, refused: 1 })
  expect((usage['groups'] as { group: string }[]).map(({ group }) => group)).toEqual([
    'classify.category',
    'classify.sentiment',
  ])

  const ledger = (await harbor.reader.get(`/v1/billing/ledger?period=${job['billingPeriod']}`)).expect(200)
  expect(ledger['total']).toMatchObject({ jobs: 4, amount: (usage['total'] as { charged: string }).charged })
  const lines = ledger['lines'] as { id: string; jobId: string; kind: string }[]
  const line = lines.find(({ jobId, kind }) => jobId === job['id'] && kind === 'request')
  const detail = (await harbor.reader.get(`/v1/billing/lines/${line?.id}`)).expect(200)
  expect((detail['events'] as { type: string }[]).map(({ type }) => type)).toEqual([
    'JobSubmitted',
    'JobAdmitted',
    'AttemptStarted',
    'JobSucceeded',
    'UsageMetered',
    'JobRated',
  ])
  expect(
    (detail['events'] as { correlationId: string }[]).every(({ correlationId }) => correlationId === 'journey-1'),
  ).toBe(true)
  const book = (await harbor.reader.get(`/v1/price-books/${job['priceBookHash']}`)).expect(200)
  expect(book).toMatchObject({ currency: 'USD', book: { name: 'starter' } })
  expect(service.logged).toEqual([])
})

test('one key is one job: the answer is repeated, another body is refused', async () => {
  const { submitter } = await openTenant(service, 'keys')
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const headers = { 'Idempotency-Key': 'order 7' }
  const first = await submitter.post('/v1/jobs', job, { headers })
  const { id } = first.expect(202)
  expect((await submitter.get(`/v1/jobs/${id}?wait=30`)).expect(200)).toMatchObject({ status: 'succeeded' })
  const again = (
    await submitter.post(
      '/v1/jobs',
      { input: { text: 'fine' }, capability: 'classify.sentiment', priority: 3 },
      { headers },
    )
  ).expect(200)
  expect(again).toMatchObject({ id, status: 'succeeded', result: { sentiment: 'positive' } })
  ;(await submitter.post('/v1/jobs', { ...job, priority: 1 }, { headers })).problem(409, 'IDEMPOTENCY_CONFLICT')
  const many = await Promise.all(
    Array.from({ length: 100 }, () => submitter.post('/v1/jobs?wait=10', job, { headers })),
  )
  expect(new Set(many.map((answer) => answer.expect(200)['id']))).toEqual(new Set([id]))
  expect((await submitter.get('/v1/jobs')).expect(200)['jobs']).toHaveLength(1)
})

test('a job can be read as soon as it is answered, before any view has it', async () => {
  const { submitter } = await openTenant(service, 'early')
  const job = { capability: 'classify.sentiment', input: { text: 'fine' }, priority: 2 }
  for (let i = 0; i < 20; i++) {
    const { id } = (await submitter.post('/v1/jobs', job)).expect(202)
    expect((await submitter.get(`/v1/jobs/${id}`)).expect(200)).toMatchObject({ id, priority: 2 })
  }
})

test('a running job is cancelled, and what the wait saw is final', async () => {
  const { submitter } = await openTenant(service, 'cancel')
  service.scripted.play([{ promptHas: 'for ever', breaks: 'hang' }])
  const job = { capability: 'generate.text', input: { prompt: 'for ever' } }
  const { id } = (await submitter.post('/v1/jobs', job)).expect(202)
  await expect
    .poll(async () => (await submitter.get(`/v1/jobs/${id}`)).expect(200), { timeout: 20_000 })
    .toMatchObject({ status: 'running', provider: 'scripted' })
  expect((await submitter.get(`/v1/jobs/${id}?wait=1`)).expect(200)).toMatchObject({ status: 'running' })
  expect((await submitter.delete(`/v1/jobs/${id}?wait=30`)).expect(200)).toMatchObject({
    id,
    status: 'cancelled',
    charged: '0',
  })
  expect((await submitter.delete(`/v1/jobs/${id}`)).expect(200)).toMatchObject({ status: 'cancelled' })
})

test('a failed job says why; a refused one costs nothing', async () => {
  const { submitter } = await openTenant(service, 'fail')
  service.scripted.play([{ promptHas: 'no', status: 400 }])
  expect(
    (await submitter.post('/v1/jobs?wait=30', { capability: 'generate.text', input: { prompt: 'no' } })).expect(200),
  ).toMatchObject({
    status: 'failed',
    failure: { code: 'PROVIDER_REJECTED' },
    charged: '0',
  })
  const dear = { capability: 'generate.text', input: { prompt: 'hello' }, maxCharge: '0.0001' }
  const refused = (await submitter.post('/v1/jobs?wait=30', dear)).expect(200)
  expect(refused).toMatchObject({ status: 'refused', refusal: { reason: 'over_max_charge' } })
  expect((await submitter.post('/v1/jobs/estimate', dear)).expect(200)).toMatchObject({
    wouldRefuse: 'over_max_charge',
  })
  const unknownModel = { capability: 'generate.text', input: { prompt: 'hello' }, model: 'no-such-model' }
  expect((await submitter.post('/v1/jobs/estimate', unknownModel)).expect(200)).toMatchObject({
    wouldRefuse: 'no_route',
    steps: [],
  })
  expect((await submitter.post('/v1/jobs?wait=30', unknownModel)).expect(200)).toMatchObject({
    refusal: { reason: 'no_route' },
  })
  const unknownSet = { capability: 'classify.category', input: { text: 'x' }, params: { labelSetId: 'nowhere' } }
  expect((await submitter.post('/v1/jobs/estimate', unknownSet)).expect(200)).toMatchObject({
    wouldRefuse: 'resource_unknown',
  })
})

test('a result that was erased is gone, at once and for everybody, and the job says so', async () => {
  const { submitter } = await openTenant(service, 'erased')
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const key = { headers: { 'Idempotency-Key': 'once' } }
  const { id } = (await submitter.post('/v1/jobs', job, key)).expect(202)
  // The list has no results, so that nobody has read this one yet.
  await expect.poll(async () => (await submitter.get('/v1/jobs?status=succeeded')).body['jobs']).toHaveLength(1)
  await service.database.asService((tx) => tx.query("DELETE FROM vault_payload WHERE tenant_id = 'erased'"))
  for (const read of [
    await submitter.get(`/v1/jobs/${id}?wait=30`),
    await submitter.post('/v1/jobs?wait=30', job, key),
  ]) {
    expect(read.expect(200)).toMatchObject({ status: 'succeeded', resultExpired: true })
    expect(read.body).not.toHaveProperty('result')
  }
})

test('exactly k jobs of 120 at once fit under a cap of k, and no more', async () => {
  const { admin, submitter } = await openTenant(service, 'race')
  ;(await admin.put('/v1/tenants/race/caps/k', { metric: 'requests', limit: 25, period: 'total' })).expect(200)
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const answers = await Promise.all(Array.from({ length: 120 }, () => submitter.post('/v1/jobs?wait=60', job)))
  const statuses = answers.map((answer) => answer.expect(200)['status'])
  expect(statuses.filter((status) => status === 'succeeded')).toHaveLength(25)
  expect(statuses.filter((status) => status === 'refused')).toHaveLength(95)
})

test('a revoked token does not work when the revoke has answered; a removed cap does not bind', async () => {
  const tenant = await openTenant(service, 'changes')
  const issued = (await tenant.admin.post('/v1/tenants/changes/tokens', { role: 'reader', memberId: 'ada' })).expect(
    201,
  )
  const client = service.as(issued['token'] as string)
  ;(await client.get('/v1/jobs')).expect(200)
  ;(await tenant.admin.delete(`/v1/tenants/changes/tokens/${issued['id']}`)).expect(204)
  ;(await client.get('/v1/jobs')).problem(401, 'UNAUTHENTICATED')
  const tokens = (await tenant.admin.get('/v1/tenants/changes/tokens')).expect(200)['tokens'] as {
    id: string
    state: string
  }[]
  expect(tokens.filter(({ state }) => state === 'revoked')).toMatchObject([{ id: issued['id'] }])
  expect(JSON.stringify(tokens)).not.toContain('pf3_')

  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  for (let i = 0; i < 5; i++) {
    ;(
      await tenant.admin.put('/v1/tenants/changes/caps/none', { metric: 'requests', limit: 0, period: 'total' })
    ).expect(200)
    expect((await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)).toMatchObject({ status: 'refused' })
    ;(await tenant.admin.delete('/v1/tenants/changes/caps/none')).expect(204)
    expect((await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)).toMatchObject({ status: 'succeeded' })
  }
  expect((await tenant.reader.get('/v1/tenants/changes/caps')).expect(200)).toEqual({ caps: [] })
})

test('a no of the owner is told with its reason', async () => {
  const { admin } = await openTenant(service, 'noes')
  expect((await admin.delete('/v1/tenants/noes/caps/nothing')).problem(404, 'NOT_FOUND')).toMatchObject({
    reason: 'cap_unknown',
  })
  expect((await admin.delete('/v1/tenants/noes/tokens/tok_nothing')).problem(404, 'NOT_FOUND')).toMatchObject({
    reason: 'token_unknown',
  })
  const tenant = { id: 'noes', level: 'client', name: 'Again', currency: 'USD', timeZone: 'UTC' }
  expect((await service.root.post('/v1/tenants', tenant)).problem(409, 'REQUEST_REFUSED')).toMatchObject({
    reason: 'tenant_exists',
  })
  const above = { level: 'partner', name: 'Above', currency: 'USD', timeZone: 'UTC' }
  expect((await admin.post('/v1/tenants', above)).problem(409, 'REQUEST_REFUSED')).toMatchObject({
    reason: 'level_invalid',
  })
})

test('health, readiness and figures need no token and name no tenant', async () => {
  await openTenant(service, 'unseen')
  const nobody = service.as('')
  expect((await nobody.get('/healthz')).expect(200)).toEqual({ status: 'ok' })
  expect((await nobody.get('/readyz')).expect(200)).toEqual({ status: 'ready', degraded: [] })
  const metrics = await nobody.get('/metrics')
  metrics.expect(200)
  expect(metrics.text).toMatch(
    /pf3_http_requests_total\{method="POST",route="\/v1\/tenants\/\{t\}\/tokens",status="201"\} \d+/,
  )
  expect(metrics.text).not.toContain('unseen')
})
