/** What the head of a request must be before anybody acts on it: one target, one host, nothing said twice. */
import type { IncomingMessage } from 'node:http'
import { type FieldError, invalid } from './problem.ts'

/** Two of one of these, and it would be anybody's guess, or a proxy's, which of them counts. */
const onceAtMost = [
  'host',
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'last-event-id',
  'traceparent',
  'x-pf3-justification',
  'x-request-id',
]
/** Authority of a URI (RFC 3986); what it says is used for nothing, so that it need not be right. */
const hostForm = /^[A-Za-z0-9._~!$&'()*+,;=%:[\]-]*$/

/**
 * Throws REQUEST_INVALID. PF-3 makes no address of a Host header and no decision by one: where callers reach it is
 * nobody's word but its operator's. A target that carries a host of its own is refused: routers read it differently.
 */
export function checkHead({ url = '', rawHeaders, httpVersion, headers }: IncomingMessage): void {
  // As many values as names: nothing was said twice, which is so of nearly every request.
  const errors = Object.keys(headers).length * 2 === rawHeaders.length ? [] : saidTwice(rawHeaders)
  if (!url.startsWith('/'))
    errors.push(wrong('target', 'It is not a path.', 'A path that begins with /.', 'Send the host in the header Host.'))
  if (httpVersion === '1.1' && headers.host === undefined)
    errors.push(wrong('header.host', 'It is missing.', 'The host that was called.', 'Send it.'))
  else if (!hostForm.test(headers.host ?? ''))
    errors.push(wrong('header.host', 'It is no host.', 'A host, and a port if there is one.', 'Correct it.'))
  if (errors.length > 0) throw invalid(...errors)
}

function saidTwice(rawHeaders: readonly string[]): FieldError[] {
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  return onceAtMost
    .filter((name) => names.indexOf(name) !== names.lastIndexOf(name))
    .map((name) => wrong(`header.${name}`, 'It is given more than once.', 'One value.', 'Send it once.'))
}

const wrong = (where: string, problem: string, expected: string, remedy: string): FieldError => ({
  where,
  problem,
  expected,
  remedy,
})
