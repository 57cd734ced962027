/** A label set: the labels a tenant sorts texts by, and texts of which the label is known. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { textSchema } from './text.ts'

/** Size of a label set's canonical content. */
export const labelSetBytesMax = 64 * 1_048_576
export const labelsMax = 1_000
export const examplesMax = 100_000
/** Values in the JSON of a label set: an example has 3, and the labels find room in the rest. */
export const labelSetValuesMax = 4 * examplesMax

export const labelSetIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1 to 64 of a-z, 0-9, ".", "_", "-", and begin with a letter or digit')
  .describe('Id of a label set of the tenant, as registered by PUT /v1/label-sets/{labelSetId}.')

/** `__proto__` is refused because scores are objects keyed by label, where that name means something else. */
const labelSchema = z
  .string()
  .min(1, 'must not be empty')
  .max(100)
  .refine((label) => label.isWellFormed(), 'must be well-formed Unicode: it holds a lone surrogate')
  .refine((label) => !/\p{Cc}/u.test(label), 'must not hold control characters')
  .refine((label) => label !== '__proto__', 'must be another name: this one is reserved')

export const labelSetSchema = z
  .strictObject({
    labels: z.array(labelSchema).min(2).max(labelsMax),
    examples: z
      .array(z.strictObject({ text: textSchema, label: labelSchema }))
      .min(2)
      .max(examplesMax),
  })
  .superRefine(({ labels, examples }, context) => {
    const refuse = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    const known = new Set(labels)
    if (known.size !== labels.length) refuse(['labels'], 'must not name a label twice')
    const used = new Set(examples.map(({ label }) => label))
    const unused = labels.find((label) => !used.has(label))
    if (unused !== undefined) refuse(['examples'], `must have an example of the label ${JSON.stringify(unused)}`)
    const stray = examples.findIndex(({ label }) => !known.has(label))
    if (stray >= 0) refuse(['examples', stray, 'label'], 'must be one of the labels')
    const bytes = examples.reduce((sum, { text, label }) => sum + Buffer.byteLength(text) + Buffer.byteLength(label), 0)
    if (bytes > labelSetBytesMax) refuse(['examples'], `must have at most ${labelSetBytesMax} bytes together`)
  })

export type LabelSet = z.infer<typeof labelSetSchema>

/** The bytes that are kept and hashed: canonical JSON (keys sorted, no spaces), labels and examples in the given order. */
export function labelSetContent({ labels, examples }: LabelSet): Uint8Array {
  const ordered = { examples: examples.map(({ label, text }) => ({ label, text })), labels }
  return new TextEncoder().encode(JSON.stringify(ordered))
}

/** SHA-256 of the content in hex: the label set's version. */
export const labelSetHash = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
