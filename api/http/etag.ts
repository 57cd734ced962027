/** What names the content of an answer, so that a caller who has it is told so in a few bytes. */
import { createHash } from 'node:crypto'

/** The same for the same content. */
export const etagOf = (body: string | Buffer): string =>
  `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
