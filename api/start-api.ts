/** The door of PF-3: HTTP in, requests to the log, views out. Starts listening, and stops without cutting anybody off. */
import type { Server } from 'node:net'
import express from 'express'
import type { Registry } from 'prom-client'
import type { Provider } from '../capabilities/index.ts'
import { type Clock, type Random, sleep } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { Database } from '../platform/postgres/database.ts'
import type { Relay } from '../platform/relay/relay.ts'
import type { Logger } from '../platform/telemetry/service-log.ts'
import { isLoopback } from '../platform/tls.ts'
import { tokenUse } from '../platform/token-use/token-use.ts'
import type { FreshContents } from '../platform/vault/fresh-content.ts'
import type { MasterKey } from '../platform/vault/master-key.ts'
import type { PayloadVault } from '../platform/vault/vault.ts'
import { type AppenderParts, jobSubmitter, requestAppender, submissionStore } from '../producers/index.ts'
import type { Codec } from '../schemas/codec.ts'
import { type OidcOptions, oidcVerifier } from './auth/oidc.ts'
import { type Certificate, type Listener, listener, type Wire, waitsDefault } from './http/listener.ts'
import { longAnswers } from './http/long-answers.ts'
import { Problem } from './http/problem.ts'
import { type LimitOptions, limitDefaults, limits, type SharedCounts } from './limits/limits.ts'
import { apiMetrics } from './metrics.ts'
import type { Calendar, Parts, Readiness } from './parts.ts'
import type { Route } from './route.ts'
import { routeTable } from './route-table.ts'
import { type ServeParts, serve } from './serve.ts'
import { batchedViews } from './views.ts'

export type ApiOptions = {
  /** 0 takes any free port. */
  port: number
  /** Address to listen on. Throws for one outside loopback without `wire.tls`. */
  host: string
  /** TLS, and how long a request may take to come in; default plain text, for loopback. */
  wire?: Wire
  database: Database
  log: AppenderParts['log']
  codec: Codec
  vault: PayloadVault
  /** Inputs on their way to an owner in the same process, and results on their way back. */
  fresh?: FreshContents
  masterKey: Pick<MasterKey, 'derive'>
  relay: Relay
  clock: Clock
  random: Random
  logger: Logger
  /** SHA-256, in hex, of the token that acts as the platform's administrator; null for none. */
  rootTokenHash: string | null
  /** The issuer whose JWTs are credentials; left out, PF-3's own tokens are the only ones. */
  oidc?: OidcOptions | undefined
  providers: readonly Provider[]
  calendar: Calendar
  readiness(): Readiness
  /** While it says no, only public routes are answered, and all others with NOT_READY; default at once. */
  isOpen?: () => boolean
  /** What is served; default the table of routes. */
  routes?: readonly Route[]
  /** How much is let in; default `limitDefaults`. */
  limits?: LimitOptions
  /** Where limits are counted together with other processes; left out, this one counts for itself. */
  sharedCounts?: SharedCounts | undefined
  /** Where the door's figures go, beside those of other roles; default a registry of its own. */
  registry?: Registry
  /** Days that content of a tenant is kept which has not said how long; default 30. */
  contentDaysDefault?: number
  /** How long a request that changes what is allowed waits for its answer before 202; default 10 s. */
  answerWaitMs?: number
  /** How long a stop waits for requests under way before it cuts them off; default 10 s. */
  drainMsMax?: number
}

export type Api = {
  readonly port: number
  /** Takes no more connections, ends waits early, lets what runs finish within the bound. Safe to call twice. */
  stop(): Promise<void>
  /** Connections made from now on are given this certificate. Throws when it is none, or when there was none before. */
  renewCertificate(certificate: Certificate): void
}

const contentDaysDefault = 30
const answerWaitMsDefault = 10_000
const drainMsMaxDefault = 10_000
const bodyBytesInMemoryMax = 512 * 1024 * 1024
const answerBytesUnreadMax = 512 * 1024 * 1024
/** A caller or two who ask for one thing after another must not wait for company that does not come. */
const busyRequests = 16

/** Throws when the port cannot be had. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { database, log, codec, vault, fresh, relay, clock, random, logger, wire = {}, host } = options
  if (wire.tls === undefined && !isLoopback(host))
    throw new PlatformError('INTERNAL', { host, problem: 'plain text is spoken on loopback only' })
  const metrics = apiMetrics(options.registry)
  const appender = requestAppender({ log, codec, clock, random })
  const submitter = jobSubmitter({
    appender,
    submissions: submissionStore({ database, vault }),
    vault,
    ...(fresh && { fresh }),
    clock,
    bodyKey: await options.masterKey.derive('submission body'),
    onFault: (error) => logger('submissions could not be marked as appended', { error }),
  })
  const uses = tokenUse({
    database,
    clock,
    onFault: (error) => logger('uses of tokens could not be written', { error }),
  })
  const underWay = new Set<AbortController>()
  const parts: Parts = {
    database,
    vault,
    relay,
    clock,
    random,
    appender,
    submitter,
    views: batchedViews({ database, vault, fresh, clock, isBusy: () => underWay.size >= busyRequests }),
    tokenUse: uses,
    providers: options.providers,
    calendar: options.calendar,
    readiness: () => (isStopping ? { isReady: false, waitingFor: ['stopping'], degraded: [] } : options.readiness()),
    metricsText: () => metrics.registry.metrics(),
    contentDaysDefault: options.contentDaysDefault ?? contentDaysDefault,
    quoteKey: await options.masterKey.derive('quote'),
    cursorKey: await options.masterKey.derive('cursor'),
    answerWaitMs: options.answerWaitMs ?? answerWaitMsDefault,
  }
  let isStopping = false
  const noteIssuer = (error: unknown) => logger('the keys of the issuer could not be read', { error })
  const { server, renew, endHandshakes } = listenerOf(options.routes ?? routeTable, wire, {
    parts,
    clock,
    random,
    logger,
    metrics,
    underWay,
    rootTokenHash: options.rootTokenHash,
    oidc: options.oidc ? oidcVerifier(options.oidc, { clock, onFault: noteIssuer }) : null,
    limits: limits(options.limits ?? limitDefaults, options.sharedCounts),
    bodies: {
      budget: { bytes: 0, bytesMax: bodyBytesInMemoryMax },
      clock,
      behindMsMax: wire.waits?.bodyMs ?? waitsDefault.bodyMs,
    },
    sendLong: longAnswers(answerBytesUnreadMax),
    isStopping: () => isStopping,
    isOpen: options.isOpen ?? (() => true),
  })
  const port = await listen(server, options.port, host).catch(async (error: unknown) => {
    await uses.stop()
    throw error
  })
  let stopping: Promise<void> | undefined

  async function stop(): Promise<void> {
    isStopping = true
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const request of underWay) request.abort()
    server.closeIdleConnections()
    endHandshakes()
    const bound = new AbortController()
    const late = sleep(clock, options.drainMsMax ?? drainMsMaxDefault, bound.signal)
    await Promise.race([closed.then(() => submitter.settled()), late])
    bound.abort()
    server.closeAllConnections()
    await closed
    await uses.stop()
  }

  return { port, stop: () => (stopping ??= stop()), renewCertificate: renew }
}

function listenerOf(routes: readonly Route[], wire: Wire, serveParts: ServeParts): Listener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.enable('case sensitive routing')
  app.enable('strict routing')
  for (const route of routes) {
    app[route.method](toExpressPath(route.path), (request, response) => serve(request, response, { route }, serveParts))
  }
  for (const path of new Set(routes.map((route) => toExpressPath(route.path)))) {
    const allow = routes
      .filter((route) => toExpressPath(route.path) === path)
      .map((route) => route.method.toUpperCase())
      .join(', ')
    const refuse = new Problem('METHOD_NOT_ALLOWED', {
      detail: `This address takes ${allow}.`,
      headers: { Allow: allow },
    })
    app.all(path, (request, response) => serve(request, response, { refuse }, serveParts))
  }
  app.use((request, response) =>
    serve(request, response, { refuse: new Problem('NOT_FOUND', { detail: 'There is no such address.' }) }, serveParts),
  )
  // Reached only for what the router itself cannot read, such as a broken percent-encoding in the path.
  app.use((_error: unknown, request: express.Request, response: express.Response, _next: express.NextFunction) =>
    serve(
      request,
      response,
      { refuse: new Problem('REQUEST_INVALID', { detail: 'The address is not well-formed.' }) },
      serveParts,
    ),
  )
  return listener(wire, {
    handle: app,
    refuse: (request, response, refuse) => void serve(request, response, { refuse }, serveParts),
    clock: serveParts.clock,
    random: serveParts.random,
  })
}

const toExpressPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
