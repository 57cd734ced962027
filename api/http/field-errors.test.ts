/** What is wrong is told once, apart from what is expected, with something to do. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTenant, type Service, starterBook, startService } from '../testing/service.ts'

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
const book = starterBook()

test('what is wrong is told once, with a remedy of its own where there is one', async () => {
  const tenantOf = (currency: string) => ({ level: 'client', name: 'x', currency, timeZone: 'UTC' })
  const small = (await service.root.post('/v1/tenants', tenantOf('usd'))).problem(400, 'REQUEST_INVALID')
  expect([small.detail, small.errors?.length]).toEqual(['1 thing is wrong with the request.', 1])
  const price = (await tenant.admin.post('/v1/jobs', { ...job, maxCharge: '1,50' })).problem(400, 'REQUEST_INVALID')
  expect(price.errors).toHaveLength(1)
  const long = { ...job, input: { text: 'x'.repeat(1_048_577) } }
  expect((await tenant.submitter.post('/v1/jobs', long)).problem(400, 'REQUEST_INVALID').errors).toEqual([
    {
      where: 'body.input.text',
      problem: 'It does not have the expected form.',
      expected: 'must have at most 1048576 bytes in UTF-8',
      remedy: 'Shorten it, or divide it among several.',
    },
  ])
})

test('of a price book it is told what is wrong, and apart from it what is expected', async () => {
  const [entry] = (book as { entries: object[] }).entries
  const wrong = { ...book, name: 7, extra: 1, entries: [entry, entry] }
  const { errors = [] } = (await service.root.post('/v1/price-books', wrong)).problem(400, 'REQUEST_INVALID')
  expect(errors.map(({ where, problem, expected }) => [where, problem, expected])).toEqual([
    ['body', '"extra" is not a known field.', 'The fields name, currency, effectiveFrom, entries.'],
    ['body.name', 'It is not as a price book has it.', '1 to 200 printable characters.'],
    ['body.entries[1]', 'Prices the same work as entries[0].', 'One entry for a capability, provider and model.'],
  ])
})
