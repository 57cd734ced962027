/** Label sets between the API and the rest. Their content is never read back: it is the tenant's own text. */
import { z } from 'zod'
import type { LabelSet } from '../../projections/label-sets/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { next, time } from '../http/forms.ts'

export const labelSetReply = z.strictObject({
  id: z.string(),
  hash: z.string(),
  bytes: z.number(),
  labelCount: z.number(),
  exampleCount: z.number(),
  registeredAt: time,
  registeredBy: z.string(),
})
export const labelSetsReply = z.strictObject({ labelSets: z.array(labelSetReply), next })

export const toApiLabelSet = (labelSet: LabelSet): z.infer<typeof labelSetReply> => ({
  id: labelSet.labelSetId,
  hash: labelSet.hash,
  bytes: Number(labelSet.payloadBytes),
  labelCount: labelSet.labelCount,
  exampleCount: labelSet.exampleCount,
  registeredAt: isoFromMicros(labelSet.registeredAt),
  registeredBy: labelSet.registeredBy,
})
