/** Text as capabilities take it. */
import { z } from 'zod'

/** Longest text, in UTF-8 bytes. */
export const textBytesMax = 1_048_576

/** A text that can be stored and sent as UTF-8: no lone surrogates, no NUL, at most `textBytesMax` bytes, not empty. */
export const textSchema = z
  .string()
  .min(1, 'must not be empty')
  .refine((text) => text.isWellFormed(), 'must be well-formed Unicode: it holds a lone surrogate')
  .refine((text) => !text.includes('\0'), 'must not hold a NUL character')
  .refine((text) => Buffer.byteLength(text) <= textBytesMax, {
    error: `must have at most ${textBytesMax} bytes in UTF-8`,
    params: { remedy: 'Shorten it, or divide it among several.' },
  })
  .describe('Well-formed Unicode without NUL, at most 1 MiB (1,048,576 bytes) in UTF-8.')

/** What a provider may add around the text: separators and markers. */
export const overheadTokens = 16n

/** No byte-level tokenizer makes more tokens of a text than it has UTF-8 bytes. */
export const inputTokensMaxOf = (text: string): bigint => BigInt(Buffer.byteLength(text)) + overheadTokens
