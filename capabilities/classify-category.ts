/** classify.category: which of the tenant's own labels fits a text. */
import { z } from 'zod'
import type { Capability } from './capability.ts'
import { labelSetIdSchema } from './label-set.ts'
import { inputTokensMaxOf, textSchema } from './text.ts'

const inputSchema = z.strictObject({ text: textSchema })
const paramsSchema = z.strictObject({ labelSetId: labelSetIdSchema })
const resultSchema = z.strictObject({
  label: z.string().describe('The label that fits best.'),
  confidence: z
    .number()
    .min(0)
    .max(1)
    .describe("Probability that the label is right, calibrated on the label set's own examples."),
  scores: z.record(z.string(), z.number().min(0).max(1)).describe('Probability of every label; they sum to 1.'),
})

export const classifyCategory: Capability = {
  name: 'classify.category',
  means: 'Says which label of a label set of the tenant fits a text, and how sure that is.',
  inputSchema,
  paramsSchema,
  resultSchema,
  resourceOf: (params) => paramsSchema.parse(params).labelSetId,
  bounds: ({ input }) => ({ inputTokensMax: inputTokensMaxOf(inputSchema.parse(input).text), outputTokensMax: 1n }),
  canRepeat: true,
}
