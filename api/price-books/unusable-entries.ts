/** Entries of a price book that no job can be priced by here: a slip in a name would refuse every job of the currency. */
import { type Capability, capabilities, capabilityNamed, type Provider } from '../../capabilities/index.ts'
import { entryFor, type PriceBook } from '../../pricing/index.ts'
import type { FieldError } from '../http/problem.ts'
import { unknownCapability } from '../unknown-capability.ts'

const errorsMax = 100

/**
 * A capability that does not exist is refused. A provider that this process does not have is refused only where the book
 * leaves one unpriced that serves the capability here: prices may be published before the provider they are for is there.
 * At most 100.
 */
export function unusableEntries(book: PriceBook, providers: readonly Provider[]): FieldError[] {
  const unpriced = new Map<string, readonly string[]>()
  for (const { name } of capabilities) unpriced.set(name, unpricedProviders(book, name, providers))
  const known = new Set(providers.map(({ name }) => name))
  const errors: FieldError[] = []
  for (const [index, { capability, provider }] of book.entries.entries()) {
    if (errors.length === errorsMax) break
    const at = `body.entries[${index}]`
    const lacking = unpriced.get(capability) ?? []
    if (!capabilityNamed(capability))
      errors.push(unknownCapability(`${at}.capability`, 'the entry would price nothing'))
    else if (!known.has(provider) && lacking.length > 0) errors.push(unknownProvider(at, lacking))
  }
  return errors
}

/** Providers that serve the capability here and for whose model the book has no price. */
function unpricedProviders(book: PriceBook, capability: Capability['name'], providers: readonly Provider[]): string[] {
  return providers
    .filter((provider) => {
      const model = provider.modelFor(capability, undefined)
      return model !== undefined && entryFor(book, capability, provider.name, model) === undefined
    })
    .map(({ name }) => name)
}

const unknownProvider = (at: string, lacking: readonly string[]): FieldError => ({
  where: `${at}.provider`,
  problem: 'There is no such provider here, and those that serve the capability have no price in the book.',
  expected: `An entry of this capability for ${lacking.join(' and for ')}.`,
  remedy: 'Correct the name, or add an entry for each that is missing.',
})
