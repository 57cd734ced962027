/** generate.text: text that follows from a prompt, by a language model. */
import { z } from 'zod'
import type { Capability } from './capability.ts'
import { inputTokensMaxOf, textSchema } from './text.ts'

export const outputTokensDefault = 1_024
export const outputTokensMax = 32_768

const inputSchema = z.strictObject({ prompt: textSchema })
const paramsSchema = z.strictObject({
  maxOutputTokens: z
    .int()
    .min(1)
    .max(outputTokensMax)
    .default(outputTokensDefault)
    .describe('Most tokens the answer may have; always sent to the provider as its limit, and held for at admission.'),
})
const resultSchema = z.strictObject({ text: z.string().describe('What was written.') })

export const generateText: Capability = {
  name: 'generate.text',
  means: 'Writes the text that follows from a prompt.',
  inputSchema,
  paramsSchema,
  resultSchema,
  resourceOf: () => undefined,
  bounds: ({ input, params }) => ({
    inputTokensMax: inputTokensMaxOf(inputSchema.parse(input).prompt),
    outputTokensMax: BigInt(paramsSchema.parse(params).maxOutputTokens),
  }),
  canRepeat: true,
}
