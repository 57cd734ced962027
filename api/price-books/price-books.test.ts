/** Which price books are taken, and which of several applies: docs/price-books.md. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTenant, type Service, starterBook, startService } from '../testing/service.ts'

let service: Service
beforeAll(async () => {
  service = await startService()
})
afterAll(() => service.stop())

type Entry = { capability: string; provider: string; model: string; price: Record<string, string> }
type Book = { name: string; effectiveFrom: string; entries: Entry[] }
/** A book of its own: its name is part of its hash. */
function bookNamed(name: string, change: (entry: Entry) => Partial<Entry> = () => ({})): Book {
  const book = starterBook() as Book
  return { ...book, name, entries: book.entries.map((entry) => ({ ...entry, ...change(entry) })) }
}
const publish = (book: object) => service.root.post('/v1/price-books', book)
const isSentiment = ({ capability }: Entry) => capability === 'classify.sentiment'

test('a capability that does not exist is refused as caps refuse it: it would leave every such job unpriced', async () => {
  const slip = bookNamed('slip', (entry) => (isSentiment(entry) ? { capability: 'classify.sentmnt' } : {}))
  expect((await publish(slip)).problem(400, 'REQUEST_INVALID').errors).toEqual([
    {
      where: 'body.entries[1].capability',
      problem: 'There is no such capability, so the entry would price nothing.',
      expected: 'One of classify.category, classify.sentiment, generate.text.',
      remedy: 'Choose one of them.',
    },
  ])
})

test('a provider that does not exist is refused in the place of one that does, and taken beside it', async () => {
  const slip = bookNamed('slip', (entry) => (isSentiment(entry) ? { provider: 'locl' } : {}))
  expect((await publish(slip)).problem(400, 'REQUEST_INVALID').errors).toMatchObject([
    { where: 'body.entries[1].provider', expected: 'An entry of this capability for local.' },
  ])
  const book = bookNamed('one more')
  const later = book.entries.filter(isSentiment).map((entry) => ({ ...entry, provider: 'of-a-later-build' }))
  ;(await publish({ ...book, entries: [...book.entries, ...later] })).expect(201)
})

test('an entry for the model counts as one for all models does', async () => {
  const book = bookNamed('models', (entry) => (isSentiment(entry) ? { model: 'vader-1' } : {}))
  const later = book.entries.filter(isSentiment).map((entry) => ({ ...entry, provider: 'of-a-later-build' }))
  ;(await publish({ ...book, entries: [...book.entries, ...later] })).expect(201)
})

test('of books with the same effectiveFrom the last published applies, of others the one that is effective last', async () => {
  const { submitter } = await openTenant(service, 'harbor')
  const job = { capability: 'classify.sentiment', input: { text: 'fine' } }
  const inForce = async () => (await submitter.post('/v1/jobs/estimate', job)).expect(200)['priceBookHash']
  const before = (await submitter.post('/v1/jobs?wait=30', job)).expect(200)
  const dated = async (name: string, effectiveFrom: string) =>
    (await publish({ ...bookNamed(name), effectiveFrom })).expect(201)['hash']

  const first = await dated('first', '2026-01-02T00:00:00Z')
  expect(await inForce()).toBe(first)
  const second = await dated('second', '2026-01-02T00:00:00Z')
  expect(await inForce()).toBe(second)
  await dated('earlier', '2026-01-01T12:00:00Z')
  expect(await inForce()).toBe(second)
  await dated('first', '2026-01-02T00:00:00Z') // Published a second time, it is still the first.
  expect(await inForce()).toBe(second)
  expect(before['priceBookHash']).not.toBe(second)
  expect((await submitter.get(`/v1/jobs/${before['id']}`)).expect(200)['priceBookHash']).toBe(before['priceBookHash'])
})

test('the book in the documentation is one, and can be published', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/price-books.md'), 'utf8')
  const [, shown = ''] = /```json\n(.*?)```/s.exec(page) ?? []
  expect((await publish(JSON.parse(shown) as object)).expect(201)).toMatchObject({ currency: 'USD' })
})
