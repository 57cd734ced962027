/** fetch for providers: follows nobody, says nothing it was not asked to say, and reads no answer without end. */

/** Bytes of an answer that are read, after decompression. */
export const answerBytesMax = 8 * 1_048_576

/** The provider sent more than `answerBytesMax`. */
export class AnswerTooLongError extends Error {}

/** The SDK adds headers about this machine, and any that an environment variable names: only these leave the house. */
const headersSent = ['accept', 'authorization', 'content-type', 'idempotency-key']
const statusesWithoutBody = [101, 103, 204, 205, 304]

/**
 * Reads the whole answer before it resolves, so that one timeout covers headers and body. A redirect is answered as it is,
 * not followed: the key and the prompt would travel along. Throws AnswerTooLongError, and what fetch throws.
 */
export async function boundedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const given = new Headers(init?.headers)
  const headers = headersSent.flatMap((name): [string, string][] => {
    const value = given.get(name)
    return value === null ? [] : [[name, value]]
  })
  const response = await fetch(input, { ...init, headers, redirect: 'manual' })
  const body = await boundedBody(response)
  const { status, headers: received } = response
  return new Response(statusesWithoutBody.includes(status) ? null : body, { status, headers: received })
}

async function boundedBody(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > answerBytesMax) throw new AnswerTooLongError(`The answer is longer than ${answerBytesMax} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
