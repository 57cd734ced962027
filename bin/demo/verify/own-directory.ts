/** Tenants and price books as the directory's events tell them. */
import type { Event } from './events.ts'
import { type Book, canonical, readBook, sha256 } from './own-price.ts'

export type OwnTenant = { parentId: string; currency: string; timeZone: string }

export class OwnDirectory {
  // The platform is a tenant from the start; no event registers it.
  readonly tenants = new Map<string, OwnTenant>([
    ['platform', { parentId: 'platform', currency: 'USD', timeZone: 'UTC' }],
  ])
  readonly #published: { book: Book; position: bigint }[] = []
  readonly #byHash = new Map<string, Book>()
  #length = 0n

  /** Takes the directory's events in order. `trusted` are hashes of the only books there may be; empty for any. */
  take(event: Event, trusted: ReadonlySet<string>): string[] {
    const position = this.#length
    this.#length++
    if (event.type === 'TenantRegistered') {
      const isKnown = this.tenants.has(event.registeredTenantId)
      const { parentId, currency, timeZone } = event
      this.tenants.set(event.registeredTenantId, { parentId, currency, timeZone })
      return isKnown ? [`registers ${event.registeredTenantId} again`] : []
    }
    if (event.type !== 'PriceBookPublished' || this.#byHash.has(event.hash)) return []
    const faults: string[] = []
    if (sha256(event.book) !== event.hash) faults.push('the hash is not that of the book')
    if (canonical(event.book) !== event.book) faults.push('the book is not canonical')
    if (trusted.size > 0 && !trusted.has(event.hash)) faults.push(`price book ${event.hash} is none of the given ones`)
    // Whatever the hash should be, this is the one that decisions name.
    const book = { ...readBook(event.book), hash: event.hash }
    if (book.currency !== event.currency) faults.push(`the currency is not the book's ${book.currency}`)
    if (book.effectiveFrom !== event.effectiveFrom) faults.push("effectiveFrom is not the book's")
    this.#byHash.set(event.hash, book)
    this.#published.push({ book, position })
    return faults
  }

  book(hash: string): Book | undefined {
    return this.#byHash.get(hash)
  }

  /**
   * Hash of the book that a decision had to use that had read the directory up to `version`; undefined when none was
   * in force. Counts a directory event as one position: where a log leaves gaps between positions, `version` can pass
   * the end, and then the whole directory counts.
   */
  inForce(currency: string, at: bigint, version: bigint): string | undefined {
    const known = this.#published.filter(({ position }) => position < version).map(({ book }) => book)
    return known
      .filter((book) => book.currency === currency && book.effectiveFrom <= at)
      .reduce<Book | undefined>(
        (best, book) => (best && best.effectiveFrom > book.effectiveFrom ? best : book),
        undefined,
      )?.hash
  }
}
