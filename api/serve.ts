/** Serves one request: who asks, whether they may, what exactly they ask, and the answer or the problem. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Random } from '../platform/clock.ts'
import { failures, isFailure } from '../platform/errors.ts'
import type { LogContext } from '../platform/telemetry/context.ts'
import type { Logger } from '../platform/telemetry/service-log.ts'
import { checkRole, isUnchecked } from './auth/authenticate.ts'
import { type Credential, credentialOf } from './auth/credential.ts'
import { justificationHeader } from './auth/enter-tenant.ts'
import type { OidcVerifier } from './auth/oidc.ts'
import { actorOf } from './auth/principal.ts'
import { ifPassing } from './await-readable.ts'
import { deprecationHeaders } from './http/deprecation.ts'
import { etagOf } from './http/etag.ts'
import { sendEventStream } from './http/event-stream.ts'
import { correlationIdOf, traceparentOf } from './http/follow.ts'
import { pieceBytes, type SendLong } from './http/long-answers.ts'
import { type FieldError, invalid, Problem, replyOf } from './http/problem.ts'
import { type BodyDoor, hasBody, readJson } from './http/read-json.ts'
import { checkHead } from './http/request-head.ts'
import type { Limits, Place } from './limits/limits.ts'
import type { ApiMetrics } from './metrics.ts'
import type { Parts } from './parts.ts'
import type { Reply, Route } from './route.ts'

export type ServeParts = {
  parts: Parts
  clock: Clock
  random: Random
  logger: Logger
  metrics: ApiMetrics
  rootTokenHash: string | null
  oidc: OidcVerifier | null
  bodies: BodyDoor
  sendLong: SendLong
  limits: Limits
  /** Of every request that is being answered, so that a stop can end their waits. */
  underWay: Set<AbortController>
  isStopping(): boolean
  isOpen(): boolean
}

/** What figures call a request whose caller did not wait for the answer; never sent. */
const callerLeft = 499

/** A request that takes longer looks at its credential again; most are over by then, and it would cost each a look-up. */
const credentialMsMax = 1_000

/** Bounds of a body where the route does not say. */
export const bodyBytesMaxDefault = 64 * 1024
export const bodyValuesMaxDefault = 1_000

/** Of a request: what there is to say about it, what it goes by, and what is given back when its answer was taken. */
type Way = {
  about: { correlationId: string; route: string; tenantId?: string }
  gone: AbortSignal
  given: (() => void)[]
  place?: Place
  credential?: Credential
}

type Request = IncomingMessage & { params?: Readonly<Record<string, string | readonly string[]>> }

/** Answers the request and never rejects. `route` undefined: the caller has the problem to answer with in `refuse`. */
export async function serve(
  request: Request,
  response: ServerResponse,
  served: { route: Route } | { refuse: Problem },
  serveParts: ServeParts,
): Promise<void> {
  const { clock, metrics, underWay, logger } = serveParts
  const startedMs = clock.nowMs()
  const correlationId = correlationIdOf(request.headers, serveParts.random)
  const path = 'route' in served ? served.route.path : 'none'
  const gone = new AbortController()
  underWay.add(gone)
  const way: Way = { about: { correlationId, route: path }, gone: gone.signal, given: [] }
  const { about } = way
  // Every answer ends with it; to abort what nobody follows any more would make an exception for nothing.
  response.on('close', () => (underWay.has(gone) ? gone.abort() : giveBack(way)))
  metrics.began()
  let status = 500
  try {
    response.setHeader('X-Request-Id', correlationId)
    if ('route' in served && served.route.deprecated) setAll(response, deprecationHeaders(served.route.deprecated))
    if ('refuse' in served) throw served.refuse
    const reply = revalidated(request, served.route, await answer(request, response, served.route, way, serveParts))
    status = reply.status
    send(response, reply, serveParts)
    if (reply.stream && request.method !== 'HEAD') {
      const check = async () => way.credential?.check(0)
      await sendEventStream(response, reply.stream, { gone: gone.signal, clock, check })
    }
  } catch (error) {
    const problem = replyOf(error, correlationId)
    status = problem.status
    // Under a flood one line for each would be a flood of its own; the figures count them.
    if (status >= 500 && problem.document.code !== 'OVERLOADED')
      note(logger, error, { ...about, code: problem.document.code })
    const headers = { ...problem.headers, 'Content-Type': 'application/problem+json' }
    if (response.headersSent)
      response.destroy() // A stream that broke: the client takes it up again.
    else send(response, { status, body: problem.document, headers }, serveParts)
  } finally {
    underWay.delete(gone)
    // To be read is no work; but what is not read yet is kept, and counts.
    way.place?.rest()
    if (response.closed) giveBack(way)
    if (gone.signal.aborted && !response.headersSent) status = callerLeft
    const ended = { method: request.method ?? '', route: path, status, durationMs: clock.nowMs() - startedMs }
    metrics.ended(ended)
    logger('a request was answered', { ...about, ...ended })
  }
}

function giveBack({ given }: Way): void {
  for (const one of given) one()
}

async function answer(
  request: Request,
  response: ServerResponse,
  route: Route,
  way: Way,
  serveParts: ServeParts,
): Promise<Reply> {
  const { parts, bodies, limits } = serveParts
  const { about, gone, given } = way
  const { headers } = request
  checkHead(request)
  if (route.roles !== 'public' && !serveParts.isOpen()) throw new Problem('NOT_READY')
  // Whether the process lives must be known also when it has more than enough to do.
  const place = route.isNeverTurnedAway ? undefined : limits.enter()
  if (place) {
    way.place = place
    given.push(place.leave)
  }
  const credential = route.roles === 'public' ? undefined : await callerOf(request, serveParts)
  if (credential) way.credential = credential
  const who = credential?.who
  // Beside the counting of requests and the body, not after them; whoever writes the request is told when it fails.
  const directoryEnd = route.takesIdempotencyKey ? parts.appender.directoryEnd() : undefined
  directoryEnd?.catch(() => undefined)
  if (who) {
    about.tenantId = who.tenantId
    const ofTenant = await limits.ofTenant(who.tenantId)
    given.push(ofTenant.leave)
    setAll(response, ofTenant.headers)
  }
  if (who && route.roles !== 'public') checkRole(who, route.roles)
  const query = queryOf(request)
  const idempotencyKey = route.takesIdempotencyKey ? idempotencyKeyOf(headers['idempotency-key']) : undefined
  const body = await bodyOf(request, route, bodies, place)
  await credential?.check(credentialMsMax)
  const { correlationId } = about
  const caller = {
    actor: who ? actorOf(who) : 'nobody',
    correlationId,
    traceparent: traceparentOf(headers),
    ...(directoryEnd && { directoryEnd }),
  }
  const justification = headers[justificationHeader.toLowerCase()]
  let hasRested = false
  const answered = route.answer(
    {
      params: { ...request.params },
      query,
      body,
      who,
      caller,
      justification: typeof justification === 'string' ? justification : undefined,
      idempotencyKey,
      lastEventId: route.takesLastEventId ? headers['last-event-id']?.toString() : undefined,
      rest() {
        hasRested = true
        place?.rest()
      },
      gone,
    },
    parts,
  )
  // Not waited for here, where the body would be kept for as long.
  return answered.then((reply) => (credential && hasRested ? stillFor(credential, reply) : reply))
}

/** What was waited for goes to those only whose credential is good now. */
async function stillFor(credential: Credential, reply: Reply): Promise<Reply> {
  if (reply.stream) return reply // Looked at before each part.
  // Where nobody can say, what was done with a good one is told of.
  await credential.check(credentialMsMax).catch(ifPassing(undefined))
  return reply
}

/** Throws UNAUTHENTICATED, and TOO_MANY_FAILURES where that has happened too often. */
async function callerOf(
  request: Request,
  { parts, clock, rootTokenHash, oidc, limits }: ServeParts,
): Promise<Credential> {
  const address = request.socket.remoteAddress ?? ''
  await limits.checkAddress(address)
  const { views, tokenUse } = parts
  try {
    return await credentialOf(request.headers.authorization, { views, tokenUse, clock, rootTokenHash, oidc })
  } catch (error) {
    if (error instanceof Problem && error.code === 'UNAUTHENTICATED' && !isUnchecked(error))
      await limits.credentialFailed(address)
    throw error
  }
}

async function bodyOf(request: Request, route: Route, bodies: BodyDoor, place: Place | undefined): Promise<unknown> {
  const { bodyBytesMax: bytesMax = bodyBytesMaxDefault, bodyValuesMax: valuesMax = bodyValuesMaxDefault } = route
  if (route.body) {
    // Callers who send slowly must not take the places of all who work; most bodies are in by now.
    if (!request.complete) place?.rest()
    const body = await readJson(request, { bytesMax, valuesMax }, bodies)
    place?.work()
    return body
  }
  if (!hasBody(request)) return undefined
  throw new Problem('REQUEST_INVALID', { detail: 'This request has no body.', headers: { Connection: 'close' } })
}

/** Each name once: which of two values counts would be anybody's guess. */
function queryOf({ url = '' }: Request): Record<string, string> {
  const at = url.indexOf('?')
  const given = at < 0 ? [] : [...new URLSearchParams(url.slice(at + 1))]
  const seen = new Set<string>()
  const twice = given.filter(([name]) => seen.has(name) || !seen.add(name))
  if (twice.length > 0) throw invalid(...twice.map(([name]) => givenTwice(name.slice(0, 100))))
  const unprintable = given.filter(([name, value]) => /\p{Cc}/u.test(name + value))
  if (unprintable.length > 0) throw invalid(...unprintable.map(([name]) => hasControls(name.slice(0, 100))))
  return Object.fromEntries(given)
}

const givenTwice = (name: string): FieldError => ({
  where: `query.${name}`,
  problem: 'It is given more than once.',
  expected: 'One value.',
  remedy: 'Give it once.',
})

const hasControls = (name: string): FieldError => ({
  where: `query.${name}`,
  problem: 'It has a control character.',
  expected: 'Printable text.',
  remedy: 'Remove it.',
})

function idempotencyKeyOf(given: string | string[] | undefined): string | undefined {
  if (given === undefined) return undefined
  if (typeof given === 'string' && /^[\x20-\x7e]{1,255}$/.test(given)) return given
  throw invalid({
    where: 'header.Idempotency-Key',
    problem: 'It does not have the expected form.',
    expected: '1 to 255 printable ASCII characters.',
    remedy: 'Use a random key for every job, and the same key for a retry.',
  })
}

const setAll = (response: ServerResponse, headers: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}

/** With its ETag, or nothing but that for a caller who has it already. */
function revalidated({ headers, method }: Request, { isRevalidated }: Route, reply: Reply): Reply {
  if (!isRevalidated || reply.status !== 200 || (method !== 'GET' && method !== 'HEAD')) return reply
  const body = textOf(reply.body)
  const etag = reply.headers?.['ETag'] ?? etagOf(body)
  const known = { ...reply.headers, ETag: etag, 'Cache-Control': 'private, no-cache' }
  const asked = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, '')) ?? []
  if (asked.includes(etag) || asked.includes('*')) return { status: 304, headers: known }
  return { ...reply, body, headers: { 'Content-Type': 'application/json', ...known } }
}

const textOf = (body: unknown): string | Buffer =>
  typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)

function send(
  response: ServerResponse,
  { status, body, stream, headers = {} }: Reply,
  { isStopping, sendLong }: ServeParts,
): void {
  if (response.destroyed || response.headersSent) return
  response.statusCode = status
  setAll(response, headers)
  if (isStopping()) response.setHeader('Connection', 'close')
  if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'no-store')
  if (stream) {
    if (response.req.method === 'HEAD') response.end()
    else response.flushHeaders()
    return
  }
  if (body === undefined) {
    response.end()
    return
  }
  if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', 'application/json')
  // As text, which Node sends in one piece with the head.
  const text = textOf(body)
  const bytes = Buffer.byteLength(text)
  response.setHeader('Content-Length', bytes)
  if (response.req.method === 'HEAD') response.end()
  else if (bytes <= pieceBytes) response.end(text)
  else sendLong(response, text)
}

/** Machines that do not answer are expected to fail now and then; faults of our own are not. */
function note(logger: Logger, error: unknown, context: LogContext): void {
  const isExpected = error instanceof Problem || (isFailure(error) && failures[error.code].canRetry)
  logger(isExpected ? 'a request could not be served' : 'a request failed', { ...context, error })
}
