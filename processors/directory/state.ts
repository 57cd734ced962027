/** The platform-wide facts every owner decides by: which tenants exist, and which price books. */
import { type PriceBook, parsePriceBook } from '../../pricing/index.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'

export type TenantEntry = Pick<Recorded<'TenantRegistered'>, 'level' | 'parentId' | 'name' | 'currency' | 'timeZone'>

export type Directory = {
  tenants: Map<string, TenantEntry>
  /** Canonical JSON of every book by hash: what a snapshot keeps. */
  bookTexts: Map<string, string>
  /** Books of a currency, by effectiveFrom, then by publication. */
  booksByCurrency: Map<string, { hash: string; effectiveFrom: EpochMicros }[]>
}

export function emptyDirectory(): Directory {
  const platform: TenantEntry = {
    level: 'platform',
    parentId: platformTenantId,
    name: 'Platform',
    currency: 'USD',
    timeZone: 'UTC',
  }
  return { tenants: new Map([[platformTenantId, platform]]), bookTexts: new Map(), booksByCurrency: new Map() }
}

/** Takes in one fact, in place; facts of other streams change nothing. */
export function evolveDirectory(directory: Directory, fact: Fact): void {
  switch (fact.type) {
    case 'TenantRegistered': {
      const { level, parentId, name, currency, timeZone } = fact
      directory.tenants.set(fact.registeredTenantId, { level, parentId, name, currency, timeZone })
      return
    }
    case 'PriceBookPublished': {
      if (directory.bookTexts.has(fact.hash)) return
      directory.bookTexts.set(fact.hash, fact.book)
      const books = directory.booksByCurrency.get(fact.currency) ?? []
      const at = books.findLastIndex((b) => b.effectiveFrom <= fact.effectiveFrom) + 1
      books.splice(at, 0, { hash: fact.hash, effectiveFrom: fact.effectiveFrom })
      directory.booksByCurrency.set(fact.currency, books)
      return
    }
  }
}

/** Hash of the book in force for the currency: the latest that is effective, of equals the last published. */
export const bookInForce = (directory: Directory, currency: string, now: EpochMicros): string | undefined =>
  directory.booksByCurrency.get(currency)?.findLast((b) => b.effectiveFrom <= now)?.hash

const parsedBooks = new Map<string, PriceBook>() // By hash, so the same for every directory: a memo, not state.
const parsedBooksMax = 1_000

/** The book with this hash; undefined when it was never published. Throws for a published book that cannot be read. */
export function bookByHash(directory: Directory, hash: string): PriceBook | undefined {
  const known = parsedBooks.get(hash)
  if (known) return known
  const text = directory.bookTexts.get(hash)
  if (text === undefined) return undefined
  const parsed = parsePriceBook(text)
  if (!parsed.ok) throw new Error(`Price book ${hash} was published but cannot be read: ${parsed.problems.join('; ')}`)
  if (parsedBooks.size >= parsedBooksMax) parsedBooks.clear()
  parsedBooks.set(hash, parsed.book)
  return parsed.book
}
