/** Server-sent events, as the WHATWG HTML standard (section 9.2) has them. */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

/** Called again after this much by a client whose connection broke, in milliseconds. */
const retryMs = 1_000

/** One event; `id` is what a client that comes again sends as Last-Event-ID. */
export const eventText = ({ id, event, data }: { id: string; event: string; data: unknown }): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** Shows that the connection stands while nothing happens; clients pass over it. */
export const stillHere = ': still here\n\n'

export const eventStreamHeaders = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  // nginx would gather events until its buffer is full.
  'X-Accel-Buffering': 'no',
}

/** Sends each part as it comes, no faster than the client reads; ends with the stream, or when the client has gone. */
export async function sendEventStream(
  response: ServerResponse,
  stream: AsyncIterable<string>,
  gone: AbortSignal,
): Promise<void> {
  response.write(`retry: ${retryMs}\n\n`)
  for await (const part of stream) {
    if (gone.aborted || response.destroyed) break
    if (!response.write(part)) await once(response, 'drain', { signal: gone }).catch(() => {})
  }
  response.end()
}
