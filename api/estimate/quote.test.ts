/** A quote binds what a job can cost, for the work, tenant and time it was given for, whatever happens afterwards. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { openTenant, type Service, starterBook, startService } from '../testing/service.ts'
import { quoteMs } from './quote.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const generate = (prompt: string) => ({ capability: 'generate.text', input: { prompt } })

type QuoteReply = { token: string; maxCharge: string; expiresAt: string }
const quoteOf = async (work: object, by = tenant.submitter): Promise<QuoteReply> =>
  (await by.post('/v1/jobs/estimate', work)).expect(200)['quote'] as QuoteReply

test('a job under a quote is charged no more than it says, however much the provider used', async () => {
  service.scripted.play([{ promptHas: 'greedy', usage: { prompt: 900_000, completion: 900_000 } }])
  const work = generate('greedy')
  const free = (await tenant.submitter.post('/v1/jobs?wait=30', work)).expect(200)
  const quote = await quoteOf(work)
  const bound = (await tenant.submitter.post('/v1/jobs?wait=30', { ...work, quote: quote.token })).expect(200)
  expect(bound).toMatchObject({ status: 'succeeded', usage: free['usage'], charged: quote.maxCharge })
  expect(Number(free['charged'])).toBeGreaterThan(Number(bound['charged']))
  const period = String(bound['billingPeriod'])
  const ledger = (await tenant.reader.get(`/v1/billing/ledger?period=${period}`)).expect(200)
  const lines = ledger['lines'] as { jobId: string; kind: string; amount: string }[]
  expect(lines.filter(({ jobId }) => jobId === bound['id']).map(({ kind }) => kind)).toContain('max_charge_credit')
  expect(lines.filter(({ jobId }) => jobId === free['id']).map(({ kind }) => kind)).not.toContain('max_charge_credit')
})

test('the lower of a quote and an own maximum counts', async () => {
  const work = generate('lower')
  const { token, maxCharge } = await quoteOf(work)
  const submit = async (own: string) =>
    (await tenant.submitter.post('/v1/jobs?wait=30', { ...work, quote: token, maxCharge: own })).expect(200)
  expect(await submit('1000')).toMatchObject({ status: 'succeeded', held: maxCharge })
  expect(await submit('0')).toMatchObject({ status: 'refused', refusal: { reason: 'over_max_charge' } })
})

test('dearer prices refuse the job rather than charge more', async () => {
  const work = generate('dearer')
  const { token } = await quoteOf(work)
  const book = JSON.parse(JSON.stringify(starterBook()).replaceAll(/"perRequest":"[^"]*"/g, '"perRequest":"9"'))
  ;(await service.root.post('/v1/price-books', book)).expect(201)
  const submit = async (quote?: string) =>
    (await tenant.submitter.post('/v1/jobs?wait=30', { ...work, quote })).expect(200)
  expect(await submit(token)).toMatchObject({ status: 'refused', refusal: { reason: 'over_max_charge' } })
  expect(await submit()).toMatchObject({ status: 'succeeded' })
})

test('a quote is for one tenant and one work, and nobody can write one', async () => {
  const work = generate('mine')
  const { token } = await quoteOf(work)
  const other = await openTenant(service, 'other')
  const [max = '', expires = '', mac = ''] = token.split('.')
  const refusals: [quote: string, job: object, by?: typeof tenant.submitter][] = [
    [token, generate('another')],
    [token, { ...work, model: 'scripted-1' }],
    [token, { ...work, params: { maxOutputTokens: 5 } }],
    [token, work, other.submitter],
    [`${BigInt(max) + 1n}.${expires}.${mac}`, work],
    [`${max}.${Number(expires) + 1}.${mac}`, work],
    [`${max}.${expires}.${mac.slice(0, -1)}`, work],
    [`${max}.${expires}.${'A'.repeat(43)}`, work],
    ['', work],
    ["' OR 1=1 --", work],
  ]
  for (const [quote, job, by = tenant.submitter] of refusals) {
    const { errors = [] } = (await by.post('/v1/jobs', { ...job, quote })).problem(400, 'REQUEST_INVALID')
    expect([quote, errors.map(({ where }) => where)]).toEqual([quote, ['body.quote']])
  }
  // The same work, however its JSON is written.
  const same = { input: { prompt: 'mine' }, params: {}, capability: 'generate.text', quote: token }
  ;(await tenant.submitter.post('/v1/jobs?wait=30', same)).expect(200)
})

test('an expired quote is refused, but a repeated request is answered with its job', async () => {
  const work = generate('late')
  const quote = await quoteOf(work)
  expect(Date.parse(quote.expiresAt) - Date.now()).toBeLessThanOrEqual(quoteMs)
  const job = { ...work, quote: quote.token }
  const sent = { headers: { 'Idempotency-Key': 'late' } }
  const { id } = (await tenant.submitter.post('/v1/jobs?wait=30', job, sent)).expect(200)
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + quoteMs }
  const door = await service.openDoor({ clock })
  const post = (headers: Record<string, string>) =>
    fetch(`${door.url}/v1/jobs?wait=30`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${tenant.tokens.submitter}`, ...headers },
      body: JSON.stringify(job),
    })
  const late = await post({ 'Idempotency-Key': 'another' })
  expect([late.status, await late.json()]).toMatchObject([409, { code: 'QUOTE_EXPIRED' }])
  const again = await post(sent.headers)
  expect([again.status, await again.json()]).toMatchObject([200, { id }])
  await door.api.stop()
})

test('work without a price has no quote', async () => {
  expect(await quoteOf({ ...generate('x'), model: 'nobody-has-this' })).toBeNull()
})
