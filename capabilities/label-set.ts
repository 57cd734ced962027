/** A label set: the labels a tenant sorts texts by, and texts of which the label is known. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { textSchema } from './text.ts'

/** Size of a label set's canonical content. */
export const labelSetBytesMax = 64 * 1_048_576
export const labelsMax = 100
export const examplesMax = 100_000

export const labelSetIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1 to 64 of a-z, 0-9, ".", "_", "-", and begin with a letter or digit')

const labelSchema = z
  .string()
  .min(1)
  .max(100)
  .refine((text) => text.isWellFormed(), 'must be well-formed Unicode')

export const labelSetSchema = z
  .strictObject({
    labels: z.array(labelSchema).min(2).max(labelsMax),
    examples: z
      .array(z.strictObject({ text: textSchema, label: labelSchema }))
      .min(2)
      .max(examplesMax),
  })
  .superRefine(({ labels, examples }, context) => {
    const known = new Set(labels)
    if (known.size !== labels.length)
      context.addIssue({ code: 'custom', path: ['labels'], message: 'must not name a label twice' })
    const used = new Set(examples.map((example) => example.label))
    for (const label of labels) {
      if (!used.has(label))
        context.addIssue({
          code: 'custom',
          path: ['examples'],
          message: `must have an example of the label ${JSON.stringify(label)}`,
        })
    }
    const stray = examples.findIndex((example) => !known.has(example.label))
    if (stray >= 0)
      context.addIssue({ code: 'custom', path: ['examples', stray, 'label'], message: 'must be one of the labels' })
  })

export type LabelSet = z.infer<typeof labelSetSchema>

/** The bytes that are kept and hashed: keys in a fixed order, examples as given. */
export function labelSetContent({ labels, examples }: LabelSet): Uint8Array {
  const ordered = { examples: examples.map(({ label, text }) => ({ label, text })), labels }
  return new TextEncoder().encode(JSON.stringify(ordered))
}

/** SHA-256 of the content in hex: the label set's version. */
export const labelSetHash = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
