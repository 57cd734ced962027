/** A body of very many tiny values is refused while it comes in; the largest that is as documented is taken. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rawCall } from '../testing/client.ts'
import { openTenant, rootToken, type Service, starterBook, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

test.each([
  ['POST', '/v1/jobs/batch', 250_000, '{"jobs":[', '[],', 62],
  ['POST', '/v1/jobs/batch', 250_000, '{"jobs":[[', '{"":0},', 62],
  ['PUT', '/v1/label-sets/s', 400_000, '{"labels":[', '0,', 62],
  ['POST', '/v1/jobs', 1_000, '{"input":[', '0,', 1],
  ['POST', '/v1/price-books', 300_000, '{"entries":[', '0,', 7],
])('%s %s: more than %i values are refused, soon and in few words', async (method, path, most, start, part, mib) => {
  const body = Buffer.concat([Buffer.from(start), Buffer.alloc(mib * 1_048_576, part)])
  const token = path === '/v1/price-books' ? rootToken : tenant.tokens.admin
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const sinceMs = performance.now()
  const answer = await rawCall(service.url, { method, path, headers, body })
  const { errors } = answer.problem(400, 'REQUEST_INVALID')
  expect(errors).toMatchObject([{ where: 'body', problem: `It has more than ${most} values.` }])
  expect(answer.text.length).toBeLessThan(1_000)
  // A second and less; to parse 62 MiB of them took fourteen.
  expect(performance.now() - sinceMs).toBeLessThan(5_000)
  expect(service.logged).toEqual([])
})

test('ten thousand jobs with every field that a job has are looked at one by one', async () => {
  const job = {
    key: 'k',
    capability: 'generate.nothing',
    input: { prompt: 'a, [b] and {c}' },
    params: { maxOutputTokens: 1 },
    model: 'm',
    memberId: 'ada',
    maxCharge: '1',
    quote: 'q',
    priority: 1,
    deadlineMs: 1_000,
  }
  const jobs = Array.from({ length: 10_000 }, () => job)
  const answer = (await tenant.submitter.post('/v1/jobs/batch', { jobs })).expect(200)
  expect(answer).toMatchObject({ accepted: 0, refused: 10_000 })
  const [first] = answer['results'] as { problem: { errors: object[] } }[]
  expect(first?.problem.errors).toMatchObject([{ where: 'body.jobs[0].capability' }])
})

test('a label set with as many labels and examples as there may be is taken', async () => {
  const labels = Array.from({ length: 1_000 }, (_, n) => `label ${n}`)
  const textOf = (n: number) => `a text, [with] {every} "mark" ${n}`
  const examples = Array.from({ length: 100_000 }, (_, n) => ({ text: textOf(n), label: labels[n % 1_000] }))
  const put = await tenant.admin.put('/v1/label-sets/largest', { labels, examples })
  expect(put.expect(200)).toMatchObject({ labelCount: 1_000, exampleCount: 100_000 })
})

test('a price book with as many entries as there may be is too large for the log, but has no more values than it may', async () => {
  const book = starterBook()
  const [entry] = 'entries' in book && Array.isArray(book.entries) ? book.entries : []
  const rates = { ...entry.price }
  const entries = Array.from({ length: 10_000 }, (_, n) => ({ ...entry, model: `m${n}`, cost: rates }))
  ;(await service.root.post('/v1/price-books', { ...book, entries })).problem(413, 'LOG_RECORD_TOO_LARGE')
})
