/** classify.sentiment: whether a text sounds positive, neutral or negative. */
import { z } from 'zod'
import type { Capability } from './capability.ts'
import { inputTokensMaxOf, textSchema } from './text.ts'

const inputSchema = z.strictObject({ text: textSchema })
const paramsSchema = z.strictObject({})
const resultSchema = z.strictObject({
  sentiment: z.enum(['positive', 'neutral', 'negative']).describe('How it sounds.'),
  score: z.number().min(-1).max(1).describe('From -1, most negative, to 1, most positive.'),
  confidence: z.number().min(0).max(1).describe('How sure that is.'),
})

export const classifySentiment: Capability = {
  name: 'classify.sentiment',
  means: 'Says whether a text sounds positive, neutral or negative.',
  inputSchema,
  paramsSchema,
  resultSchema,
  resourceOf: () => undefined,
  bounds: ({ input }) => ({ inputTokensMax: inputTokensMaxOf(inputSchema.parse(input).text), outputTokensMax: 1n }),
  canRepeat: true,
}
