/** Which price books are taken, and which of several applies. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Service, starterBook, startService } from '../testing/service.ts'

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
