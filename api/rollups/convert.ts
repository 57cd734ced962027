/** Rollups between the API and the rest. */
import { z } from 'zod'
import type { RollupSums } from '../../projections/rollups/queries.ts'
import { decimalFromPico } from '../../schemas/units.ts'
import { amount, next } from '../http/forms.ts'

const sums = {
  currency: z.string(),
  /** Admitted jobs that ended; refused ones are not among them. */
  jobs: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  inputUncachedTokens: z.number(),
  inputCacheReadTokens: z.number(),
  inputCacheWriteTokens: z.number(),
  outputTokens: z.number(),
  reasoningTokens: z.number(),
  charged: amount,
}
export const rollupsReply = z.strictObject({
  from: z.string(),
  to: z.string(),
  period: z.string().nullable(),
  groupBy: z.string(),
  /** `group` is the day, the id of the tenant below, or the billing period; tenants may be charged in several currencies. */
  groups: z.array(z.strictObject({ group: z.string(), ...sums })),
  next,
  /** Of everything asked for, not of the page: one for each currency. */
  totals: z.array(z.strictObject(sums)),
})

export const toApiSums = (sums: RollupSums): z.infer<typeof rollupsReply>['totals'][number] => ({
  currency: sums.currency,
  jobs: Number(sums.jobs),
  succeeded: Number(sums.succeeded),
  failed: Number(sums.failed),
  cancelled: Number(sums.cancelled),
  inputUncachedTokens: Number(sums.inputUncachedTokens),
  inputCacheReadTokens: Number(sums.inputCacheReadTokens),
  inputCacheWriteTokens: Number(sums.inputCacheWriteTokens),
  outputTokens: Number(sums.outputTokens),
  reasoningTokens: Number(sums.reasoningTokens),
  charged: decimalFromPico(sums.chargedPico),
})
