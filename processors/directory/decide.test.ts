import { describe, expect, test } from 'vitest'
import { parsePriceBook } from '../../pricing/index.ts'
import type { FactBody, RequestBody } from '../../schemas/events.generated.ts'
import { book, Scene, tenantId } from '../testing/given.ts'
import { priceBooksMax, tenantsMax } from './decide.ts'
import { bookByHash, bookInForce, emptyDirectory, evolveDirectory } from './state.ts'

type RegisterTenant = Extract<RequestBody, { type: 'RegisterTenant' }>
const register = (more: Partial<RegisterTenant> = {}): RegisterTenant => ({
  type: 'RegisterTenant',
  registeredTenantId: 'quay',
  level: 'merchant',
  parentId: tenantId,
  name: 'Quay',
  currency: 'EUR',
  timeZone: 'Europe/Lisbon',
  ...more,
})
const refused = (requestType: string, reason: string, subject: string) => [
  { type: 'RequestRefused', tenantId, requestType, reason, subject },
]

/** A scene whose partition has the directory too, as the platform's has. */
function platformScene(): Scene {
  const scene = new Scene()
  for (const [id, entry] of scene.directory.tenants) scene.state.directory.tenants.set(id, entry)
  return scene
}

/** The book of the tests with another moment and currency, as its canonical text. */
function bookOf(effectiveFrom: string, currency = 'USD', name = 'test'): { hash: string; text: string } {
  const parsed = parsePriceBook(JSON.stringify({ ...JSON.parse(book.text), effectiveFrom, currency, name }))
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return { hash: parsed.book.hash, text: parsed.canonical }
}
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1_000n

describe('a tenant', () => {
  test('is registered below its parent, as it was asked for', () => {
    expect(platformScene().ask(register())).toEqual([{ ...register(), type: 'TenantRegistered', tenantId }])
  })

  test.for<[reason: string, more: Partial<RegisterTenant>]>([
    ['parent_unknown', { parentId: 'nobody' }],
    ['tenant_exists', { registeredTenantId: tenantId, parentId: 'platform', level: 'partner' }],
    ['level_invalid', { level: 'client' }],
    ['level_invalid', { level: 'partner' }],
    ['level_invalid', { level: 'platform', parentId: 'platform' }],
    ['level_invalid', { level: 'unknown' }],
    ['time_zone_invalid', { timeZone: 'Europe/Atlantis' }],
  ])('is refused as %s: %j', ([reason, more]) => {
    const { registeredTenantId } = register(more)
    expect(platformScene().ask(register(more))).toEqual(refused('RegisterTenant', reason, registeredTenantId))
  })

  test('is refused when there are as many as one directory may hold', () => {
    const scene = platformScene()
    Object.defineProperty(scene.state.directory.tenants, 'size', { value: tenantsMax })
    expect(scene.ask(register())).toEqual(refused('RegisterTenant', 'too_many', 'quay'))
  })
})

describe('a price book', () => {
  const publish = ({ hash, text }: { hash: string; text: string }): RequestBody => ({
    type: 'PublishPrices',
    hash,
    book: text,
  })

  test('is published in its canonical form, under the hash of that', () => {
    const { hash, text } = bookOf('2027-01-01T00:00:00Z', 'EUR')
    const spaced = JSON.stringify(JSON.parse(text), null, 2)
    expect(platformScene().ask(publish({ hash, text: spaced }))).toEqual([
      {
        type: 'PriceBookPublished',
        tenantId,
        hash,
        currency: 'EUR',
        effectiveFrom: micros('2027-01-01T00:00:00Z'),
        book: text,
      },
    ])
  })

  test('published again changes nothing', () => {
    const scene = platformScene()
    const later = bookOf('2027-01-01T00:00:00Z')
    const [first] = scene.ask(publish(later))
    const before = structuredClone(scene.directory)
    expect(scene.ask(publish(later))).toEqual([first])
    expect(scene.directory).toEqual(before)
  })

  test('is refused under another hash, or when it cannot be read', () => {
    expect(platformScene().ask(publish({ ...bookOf('2027-01-01T00:00:00Z'), hash: 'ab' }))).toEqual(
      refused('PublishPrices', 'book_invalid', 'ab'),
    )
    expect(platformScene().ask(publish({ hash: 'ab', text: '{' }))).toEqual(
      refused('PublishPrices', 'book_invalid', 'ab'),
    )
  })

  test('is refused when there are as many as one directory may hold', () => {
    const scene = platformScene()
    Object.defineProperty(scene.state.directory.bookTexts, 'size', { value: priceBooksMax })
    const later = bookOf('2027-01-01T00:00:00Z')
    expect(scene.ask(publish(later))).toEqual(refused('PublishPrices', 'too_many', later.hash))
  })

  test('is in force from its moment on, the latest one of its currency, of equals the last published', () => {
    const directory = emptyDirectory()
    const take = (published: { hash: string; text: string }) => {
      const parsed = parsePriceBook(published.text)
      if (!parsed.ok) throw new Error('unreadable')
      const { currency, effectiveFrom } = parsed.book
      const body: FactBody = {
        type: 'PriceBookPublished',
        hash: published.hash,
        currency,
        effectiveFrom,
        book: published.text,
      }
      evolveDirectory(directory, {
        tenantId: 'platform',
        eventId: published.hash,
        seq: 1n,
        occurredAt: 1n,
        actor: 'owner',
        correlationId: 'c',
        causedBy: 'r',
        intakeOffset: null,
        traceparent: null,
        ...body,
      })
      return published.hash
    }
    const february = take(bookOf('2026-02-01T00:00:00Z'))
    const january = take(bookOf('2026-01-01T00:00:00Z'))
    const corrected = take(bookOf('2026-02-01T00:00:00Z', 'USD', 'corrected'))
    take(bookOf('2026-02-01T00:00:00Z', 'EUR'))
    expect(bookInForce(directory, 'USD', micros('2025-12-31T23:59:59Z'))).toBeUndefined()
    expect(bookInForce(directory, 'USD', micros('2026-01-01T00:00:00Z'))).toBe(january)
    expect(bookInForce(directory, 'USD', micros('2026-02-01T00:00:00Z') - 1n)).toBe(january)
    expect(bookInForce(directory, 'USD', micros('2026-02-01T00:00:00Z'))).toBe(corrected)
    expect(bookInForce(directory, 'NGN', micros('2026-02-01T00:00:00Z'))).toBeUndefined()
    expect(bookByHash(directory, february)?.hash).toBe(february)
  })

  test('nobody published is not found, and one that cannot be read is an error, not a free job', () => {
    const directory = emptyDirectory()
    expect(bookByHash(directory, 'never')).toBeUndefined()
    directory.bookTexts.set('broken', '{')
    expect(() => bookByHash(directory, 'broken')).toThrow('Price book broken was published but cannot be read')
  })
})
