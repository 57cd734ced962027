/** Usage between the API and the rest. */
import { z } from 'zod'
import type { Usage } from '../../projections/usage-by-day/queries.ts'
import { decimalFromPico } from '../../schemas/units.ts'
import { amount } from '../http/forms.ts'

const usageFields = {
  /** Admitted jobs that ended; refused ones are not among them. */
  jobs: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  refused: z.number(),
  inputUncachedTokens: z.number(),
  inputCacheReadTokens: z.number(),
  inputCacheWriteTokens: z.number(),
  outputTokens: z.number(),
  reasoningTokens: z.number(),
  inputBytes: z.number(),
  outputBytes: z.number(),
  durationMs: z.number(),
  charged: amount,
  /** What providers are expected to charge, where known. */
  providerCost: amount,
  costUnknownJobs: z.number(),
}
export const usageReply = z.strictObject({
  from: z.string(),
  to: z.string(),
  groupBy: z.string(),
  currency: z.string().nullable(),
  /** `group` is null for the tenant itself, and for jobs of which no attempt started. */
  groups: z.array(z.strictObject({ group: z.string().nullable(), ...usageFields })),
  total: z.strictObject(usageFields),
})

export const toApiUsage = (usage: Usage): z.infer<typeof usageReply>['total'] => ({
  jobs: Number(usage.jobs),
  succeeded: Number(usage.succeeded),
  failed: Number(usage.failed),
  cancelled: Number(usage.cancelled),
  refused: Number(usage.refused),
  inputUncachedTokens: Number(usage.inputUncachedTokens),
  inputCacheReadTokens: Number(usage.inputCacheReadTokens),
  inputCacheWriteTokens: Number(usage.inputCacheWriteTokens),
  outputTokens: Number(usage.outputTokens),
  reasoningTokens: Number(usage.reasoningTokens),
  inputBytes: Number(usage.inputBytes),
  outputBytes: Number(usage.outputBytes),
  durationMs: Number(usage.durationMs),
  charged: decimalFromPico(usage.chargedPico),
  providerCost: decimalFromPico(usage.providerCostPico),
  costUnknownJobs: Number(usage.costUnknownJobs),
})
