/** What follows a request through every fact it leads to: its own id, and the caller's trace. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Random } from '../../platform/clock.ts'
import { randomText } from '../../producers/index.ts'

/** Of an X-Request-Id that is taken over. */
export const givenIdForm = /^[A-Za-z0-9._:-]{1,128}$/
// Version 00 of W3C Trace Context, and later versions that keep to its form; ids of zeros are invalid there.
const traceForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The caller's X-Request-Id when it has a sound form, else one made here. */
export function correlationIdOf(headers: IncomingHttpHeaders, random: Random): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && givenIdForm.test(given) ? given : randomText(random)
}

export function traceparentOf(headers: IncomingHttpHeaders): string | null {
  const given = headers['traceparent']
  return typeof given === 'string' && traceForm.test(given) ? given : null
}
