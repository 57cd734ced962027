/** Server-sent events, as the WHATWG HTML standard (section 9.2) has them. */

import type { ServerResponse } from 'node:http'
import { type Clock, sleep } from '../../platform/clock.ts'

/** Called again after this much by a client whose connection broke, in milliseconds. */
const retryMs = 1_000
/** Between two signs of life, in milliseconds: below the 60 s after which proxies commonly cut a silent connection. */
export const stillHereMs = 15_000
/** A stream ends after this much, in milliseconds; the client comes again with the id of the last event it saw. */
export const streamMsMax = 900_000

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

type Bounds = {
  /** Ends the stream. */
  gone: AbortSignal
  clock: Clock
  /** Called before each part, and now and then while the client does not read; throws when the stream may not go on. */
  check(): Promise<void>
}

/** Sends each part as it comes, no faster than the client reads; ends with the stream, in its time, or when the client has gone. */
export async function sendEventStream(
  response: ServerResponse,
  stream: AsyncIterable<string>,
  bounds: Bounds,
): Promise<void> {
  const { gone, clock, check } = bounds
  const endMs = clock.nowMs() + streamMsMax
  response.write(`retry: ${retryMs}\n\n`)
  for await (const part of stream) {
    await check()
    if (gone.aborted || response.destroyed) break
    if (!response.write(part)) await untilRead(response, endMs, bounds)
  }
  response.end()
}

/** Cuts off a client that has not read by `endMs`. */
async function untilRead(response: ServerResponse, endMs: number, { gone, clock, check }: Bounds): Promise<void> {
  const read = new AbortController()
  response.once('drain', () => read.abort())
  const over = AbortSignal.any([gone, read.signal])
  while (clock.nowMs() < endMs) {
    await sleep(clock, Math.min(stillHereMs, endMs - clock.nowMs()), over)
    if (over.aborted) return
    await check()
  }
  response.destroy()
}
