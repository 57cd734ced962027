/** How much did a tenant use on a day? One row per day, capability, member, provider and model. */
import { isoFromMicros } from '../../schemas/units.ts'
import { amount, bigint, nullable, projection, sqlFile, text, total } from '../projection.ts'

/**
 * Days are UTC, of the fact itself: one calendar for every tenant, and a day is complete when it is over. What is
 * charged for which billing period is the ledger's matter, and follows the tenant's own calendar.
 */
export const usageByDay = projection({
  name: 'usage-by-day',
  version: 1,
  table: 'usage_by_day',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'day', 'capability', 'member_id', 'provider', 'model'],
  columns: {
    tenant_id: text,
    day: text,
    capability: text,
    member_id: text,
    provider: text,
    model: text,
    jobs: total(bigint),
    succeeded: total(bigint),
    failed: total(bigint),
    cancelled: total(bigint),
    refused: total(bigint),
    input_uncached_tokens: total(amount),
    input_cache_read_tokens: total(amount),
    input_cache_write_tokens: total(amount),
    output_tokens: total(amount),
    reasoning_tokens: total(amount),
    input_bytes: total(amount),
    output_bytes: total(amount),
    duration_ms: total(amount),
    currency: nullable(text),
    charged_pico: total(amount),
    provider_cost_pico: total(amount),
    cost_unknown_jobs: total(bigint),
  },
  apply(fact) {
    switch (fact.type) {
      case 'UsageMetered':
        return [
          {
            op: 'add',
            key: keyOf(fact),
            add: {
              input_uncached_tokens: fact.inputUncachedTokens,
              input_cache_read_tokens: fact.inputCacheReadTokens,
              input_cache_write_tokens: fact.inputCacheWriteTokens,
              output_tokens: fact.outputTokens,
              reasoning_tokens: fact.reasoningTokens,
              input_bytes: fact.inputBytes,
              output_bytes: fact.outputBytes,
              duration_ms: fact.durationMs,
            },
          },
        ]
      case 'JobRated':
        return [
          {
            op: 'add',
            key: keyOf(fact),
            add: {
              jobs: 1n,
              ...(fact.outcome !== 'unknown' && { [fact.outcome]: 1n }),
              charged_pico: fact.chargedPico,
              provider_cost_pico: fact.providerCostPico ?? 0n,
              cost_unknown_jobs: fact.usageEventId !== null && fact.providerCostPico === null ? 1n : 0n,
            },
            values: { currency: fact.currency },
          },
        ]
      case 'JobRefused':
        return [{ op: 'add', key: keyOf({ ...fact, provider: null, model: null }), add: { refused: 1n } }]
      default:
        return []
    }
  },
})

type Used = {
  tenantId: string
  occurredAt: bigint
  capability: string
  memberId: string | null
  provider: string | null
  model: string | null
}

const keyOf = ({ tenantId, occurredAt, capability, memberId, provider, model }: Used) => ({
  tenant_id: tenantId,
  day: isoFromMicros(occurredAt).slice(0, 10),
  capability,
  member_id: memberId ?? '',
  provider: provider ?? '',
  model: model ?? '',
})
