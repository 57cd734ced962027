/** The server under the routes: TLS 1.3 or plain text, bounds on time and size, and an answer also to what is not HTTP. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock, Random } from '../../platform/clock.ts'
import { tlsVersionMin } from '../../platform/tls.ts'
import { randomText } from '../../producers/index.ts'
import { Problem, replyOf } from './problem.ts'
import { securityHeaders } from './security-headers.ts'

/** PEM. */
export type Certificate = { cert: string; key: string }

export type Wire = {
  /** Its own certificate, or a proxy in front that ends TLS; undefined is plain text, for loopback. */
  tls?: Certificate | 'terminated' | undefined
  /** Bounds on how long a request may take to come in. */
  waits?: Partial<Waits> | undefined
}

export type Waits = {
  /** Until the head of a request is there. */
  headersMs: number
  /** Until all of it is there. */
  requestMs: number
  /** How much longer its body may take than one that comes in at 1,000 bytes a second. */
  bodyMs: number
  /** How often connections are looked at for both. */
  lookMs: number
  /** Nothing of an answer has been taken for so long: its connection is cut, after twice as long at the latest. */
  readMs: number
}

/** A label set of 64 MiB over a slow line; the head of a request has no such excuse, nor a body that does not get on. */
export const waitsDefault: Waits = {
  headersMs: 20_000,
  requestMs: 300_000,
  bodyMs: 10_000,
  lookMs: 5_000,
  readMs: 45_000,
}
/** Longer than the idle time of common load balancers, so that it is they who close. */
const keepAliveTimeoutMs = 65_000
const connectionsMax = 20_000
const headBytesMax = 16 * 1024
/** How long a caller who was answered in mid-sentence is still listened to. */
const lingerMs = 1_000

export type Listener = {
  server: Server | TlsServer
  /** Connections made from now on are given this certificate. Throws when it is none, or when there was none before. */
  renew(certificate: Certificate): void
  /** Cuts connections on which nothing can be asked yet. The server itself does not know them. */
  endHandshakes(): void
}

/**
 * `handle` answers requests; `refuse` answers one that must not be served. What the parser cannot make a request of is
 * answered here with problem details, as far as the connection still takes an answer, and closed.
 */
export function listener(
  { tls, waits = {} }: Wire,
  parts: {
    handle: RequestListener
    refuse: (request: IncomingMessage, response: ServerResponse, problem: Problem) => void
    clock: Clock
    random: Random
  },
): Listener {
  const { headersMs, requestMs, lookMs, readMs } = { ...waitsDefault, ...waits }
  const options = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: lookMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: headBytesMax,
    requireHostHeader: false, // Checked with everything else that must be there once, and answered like it.
  }
  const headers = securityHeaders({ isSecure: tls !== undefined })
  const answering = new WeakMap<Duplex, Set<ServerResponse>>()
  const broken = new WeakSet<Duplex>()
  const lingering = new WeakSet<Duplex>()

  function take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const all = answering.get(socket) ?? new Set()
    for (const before of all) if (before.closed && before.req.complete) all.delete(before)
    answering.set(socket, all.add(response))
    for (const [name, value] of headers) response.setHeader(name, value)
  }

  const onRequest: RequestListener = (request, response) => {
    if (lingering.has(request.socket)) return // It could not be answered.
    take(request, response)
    parts.handle(request, response)
  }
  const server =
    typeof tls === 'object'
      ? createTlsServer({ ...options, ...tls, minVersion: tlsVersionMin, handshakeTimeout: headersMs }, onRequest)
      : createServer(options, onRequest)
  server.maxConnections = connectionsMax
  server.timeout = readMs
  // Called also where an answer is only waited for, which may take longer, and where a kept connection is used no more.
  server.on('timeout', (socket: Socket) => {
    const isAwaited = [...(answering.get(socket) ?? [])].some(({ writableEnded }) => !writableEnded)
    if (socket.writableLength > 0 || !isAwaited) socket.destroy()
  })
  /** By the port of the caller. */
  const shaking = new Map<string, Socket>()
  if (typeof tls === 'object') {
    server.on('connection', (socket: Socket) => {
      const caller = callerOf(socket)
      shaking.set(caller, socket)
      socket.once('close', () => shaking.get(caller) === socket && shaking.delete(caller))
    })
    server.on('secureConnection', (socket: Socket) => shaking.delete(callerOf(socket)))
  }
  /**
   * Node closes a connection whose last answer is out at once. What its caller is still sending would then be answered with a
   * reset, and a reset can overtake the answer: so it is heard and dropped for a while.
   */
  server.on(typeof tls === 'object' ? 'secureConnection' : 'connection', (socket: Socket) => {
    const closeAtOnce = socket.destroySoon.bind(socket)
    socket.destroySoon = () => {
      if (lingering.has(socket)) return
      const unread = [...(answering.get(socket) ?? [])].find(({ req }) => !req.complete)?.req
      if (!unread || socket.destroyed) return closeAtOnce()
      lingering.add(socket)
      socket.end()
      unread.once('end', closeAtOnce).resume()
      socket.once(
        'close',
        parts.clock.after(lingerMs, () => socket.destroy()),
      )
    }
  })
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    take(request, response)
    parts.refuse(request, response, new Problem('REQUEST_INVALID', { detail: 'Of Expect only 100-continue is known.' }))
  })
  server.on('clientError', async (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (broken.has(socket)) return
    broken.add(socket)
    const all = [...(answering.get(socket) ?? [])]
    // What came in whole before is answered first, or its caller would take this answer for that one.
    await Promise.all(all.filter(({ req }) => req.complete).map(closed))
    const isAnswered = all.some(({ req, headersSent }) => !req.complete && headersSent)
    if (socket.writable && !isAnswered && !isTlsFailure(error))
      socket.write(unreadable(error, headers, randomText(parts.random)))
    socket.destroy(error)
  })
  return {
    server,
    renew(certificate) {
      if (!('setSecureContext' in server)) throw new Error('This listener speaks plain text and has no certificate.')
      server.setSecureContext({ ...certificate, minVersion: tlsVersionMin })
    },
    endHandshakes() {
      for (const socket of shaking.values()) socket.destroy()
    },
  }
}

const callerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

const closed = (response: ServerResponse): Promise<void> =>
  response.closed ? Promise.resolve() : new Promise((resolve) => response.once('close', resolve))

/** A caller that does not even speak TLS would not understand an answer in plain text. */
const isTlsFailure = ({ code = '' }: NodeJS.ErrnoException): boolean => /SSL|TLS/.test(code) || code === 'ECONNRESET'

function unreadable(
  { code }: NodeJS.ErrnoException,
  headers: readonly (readonly [string, string])[],
  correlationId: string,
): string {
  const { status, document } = replyOf(problemOf(code), correlationId)
  const body = JSON.stringify(document)
  const lines = [
    ...headers,
    ['X-Request-Id', correlationId],
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
    ['Connection', 'close'],
    ['Content-Length', String(Buffer.byteLength(body))],
  ].map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`
}

function problemOf(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('HEAD_TOO_LARGE', { members: { bytesMax: headBytesMax } })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('REQUEST_TOO_SLOW')
  return new Problem('REQUEST_INVALID', {
    detail: 'This is not HTTP as RFC 9112 has it. Send one well-formed request.',
  })
}
