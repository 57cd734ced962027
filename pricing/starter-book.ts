/** The price book a fresh installation starts with; a real one is published over the API. */
import { canonicalJson } from './canonical-json.ts'

const free = {
  perRequest: '0',
  perMillionInputTokens: '0',
  perMillionCacheReadTokens: '0',
  perMillionCacheWriteTokens: '0',
  perMillionOutputTokens: '0',
}

const ownKeyFee = { ...free, perRequest: '0.00005' }

const starter = {
  name: 'starter',
  currency: 'USD',
  effectiveFrom: '2026-01-01T00:00:00Z',
  entries: [
    {
      capability: 'classify.category',
      provider: 'local',
      model: '*',
      price: {
        perRequest: '0.0002',
        perMillionInputTokens: '0.15',
        perMillionCacheReadTokens: '0.075',
        perMillionCacheWriteTokens: '0.15',
        perMillionOutputTokens: '0.6',
      },
      ownKeyPrice: ownKeyFee,
      cost: free,
    },
    {
      capability: 'classify.sentiment',
      provider: 'local',
      model: '*',
      price: {
        perRequest: '0.0001',
        perMillionInputTokens: '0.05',
        perMillionCacheReadTokens: '0.05',
        perMillionCacheWriteTokens: '0.05',
        perMillionOutputTokens: '0.2',
      },
      ownKeyPrice: ownKeyFee,
      cost: free,
    },
    {
      capability: 'generate.text',
      provider: 'scripted',
      model: '*',
      price: {
        perRequest: '0.0005',
        perMillionInputTokens: '0.3',
        perMillionCacheReadTokens: '0.15',
        perMillionCacheWriteTokens: '0.375',
        perMillionOutputTokens: '1.2',
      },
      ownKeyPrice: ownKeyFee,
      cost: {
        perRequest: '0',
        perMillionInputTokens: '0.15',
        perMillionCacheReadTokens: '0.075',
        perMillionCacheWriteTokens: '0.1875',
        perMillionOutputTokens: '0.6',
      },
    },
  ],
}

/** Canonical JSON of the starter book in USD, in force since 2026-01-01. */
export const starterBookJson = (): string => canonicalJson(starter)
