/** Everything other rooms use of pricing. */
export { canonicalJson, hashOf, type Json } from './canonical-json.ts'
export { entryFor, type KeyOwner, type PricedWork, ratesFor } from './lookup.ts'
export { type Most, mostPico, type TokenBounds } from './most.ts'
export {
  type BookProblem,
  bookBytesMax,
  bookValuesMax,
  entriesMax,
  type ParsedPriceBook,
  type PriceBook,
  type PriceEntry,
  parsePriceBook,
  type Rates,
} from './price-book.ts'
export {
  isCredibleUsage,
  isSoundUsage,
  noUsage,
  type RatedOutcome,
  type RatedWork,
  type Rating,
  rate,
  reportedTokensMax,
  tokensOf,
  type UsageBuckets,
} from './rate.ts'
export { starterBookJson } from './starter-book.ts'
