/** What did the tenants below use, and what were they charged? One row per tenant below, day, billing period and currency. */
import { amount, bigint, projection, sqlFile, text, total } from '../projection.ts'

/**
 * Days are those of the usage of the tenant below, billing periods those of its ledger: whoever bills it finds the same
 * sums here as in either.
 */
export const rollups = projection({
  name: 'rollups',
  version: 1,
  table: 'rollup',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'day', 'from_tenant_id', 'billing_period', 'currency'],
  columns: {
    tenant_id: text,
    from_tenant_id: text,
    day: text,
    billing_period: text,
    currency: text,
    jobs: total(bigint),
    succeeded: total(bigint),
    failed: total(bigint),
    cancelled: total(bigint),
    input_uncached_tokens: total(amount),
    input_cache_read_tokens: total(amount),
    input_cache_write_tokens: total(amount),
    output_tokens: total(amount),
    reasoning_tokens: total(amount),
    charged_pico: total(amount),
  },
  apply(fact) {
    if (fact.type !== 'TransferTaken') return []
    return fact.rollup.map((line) => ({
      op: 'add',
      key: {
        tenant_id: fact.tenantId,
        day: line.day,
        from_tenant_id: fact.fromTenantId,
        billing_period: line.billingPeriod,
        currency: line.currency,
      },
      add: {
        jobs: line.jobs,
        succeeded: line.succeeded,
        failed: line.failed,
        cancelled: line.cancelled,
        input_uncached_tokens: line.inputUncachedTokens,
        input_cache_read_tokens: line.inputCacheReadTokens,
        input_cache_write_tokens: line.inputCacheWriteTokens,
        output_tokens: line.outputTokens,
        reasoning_tokens: line.reasoningTokens,
        charged_pico: line.chargedPico,
      },
    }))
  },
})
