/** Estimates: what a job could cost at most, and whether its caps would let it run now. */
import { z } from 'zod'
import { amount, optionalTime, time } from '../http/forms.ts'
import { workBody } from '../jobs/convert.ts'

export const estimateBody = z.strictObject(workBody)

const limited = z.union([z.number(), z.string()])
export const estimateReply = z.strictObject({
  at: time,
  capability: z.string(),
  inputTokensMax: z.number(),
  outputTokensMax: z.number(),
  currency: z.string(),
  /** Null when no price book is in force for the currency. */
  priceBookHash: z.string().nullable(),
  /** False when a step has no price: such a job is refused, never run for nothing. */
  priced: z.boolean(),
  /** The most the job can cost on any step: what admission holds; null when it is not priced. */
  most: amount.nullable(),
  steps: z.array(
    z.strictObject({
      provider: z.string(),
      model: z.string(),
      pool: z.enum(['local', 'remote']),
      priced: z.boolean(),
      most: amount.nullable(),
    }),
  ),
  caps: z.array(
    z.strictObject({
      id: z.string(),
      metric: z.enum(['requests', 'tokens', 'money', 'unknown']),
      limit: limited,
      free: limited,
      /** Null when the job is not priced and the cap is one on money. */
      needed: limited.nullable(),
      fits: z.boolean(),
      resetsAt: optionalTime,
    }),
  ),
  /**
   * A job submitted with the quote costs no more than `maxCharge`: dearer prices by then refuse it, and more use than was
   * allowed for is not charged. Null when the job is not priced.
   */
  quote: z.strictObject({ token: z.string(), maxCharge: amount, expiresAt: time }).nullable(),
  /** What would refuse the job now; null when nothing would. Advice, not a promise: other jobs may come first. */
  wouldRefuse: z.enum(['no_route', 'unpriced', 'over_max_charge', 'over_cap', 'resource_unknown']).nullable(),
})
export type ApiEstimate = z.infer<typeof estimateReply>
