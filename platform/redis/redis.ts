/**
 * A Redis server that may be away: whoever uses it goes on without, and it comes back by itself.
 *
 *   connecting ─▶ up ─▶ down ─▶ up …
 *
 * Up means that both connections answer: one for commands, one for subscriptions, which older servers keep from doing
 * anything else. Nothing waits for a connection: what is asked while it is down is refused at once.
 */
import { TLSSocket } from 'node:tls'
import { Redis } from 'ioredis'
import type { EpochMs } from '../../schemas/units.ts'
import type { Clock, Random } from '../clock.ts'
import { type ConnectOptions, type RedisAddress, redisOptionsFrom } from './connection.ts'

export type RedisHealth = {
  state: 'up' | 'down'
  /** When it came into this state, as this process saw it. */
  sinceMs: EpochMs
}

/** Publishing and hearing by channels; a message that cannot be delivered is lost. */
export type Channels = {
  /** Lost while it is down. Resolves when the server has it or it is lost; never rejects. */
  publish(channel: string, text: string): Promise<void>
  /** For good, whenever the server is there: after it was away, again. Safe to call again. */
  subscribe(channel: string): void
  /** Told of every message on a channel that is subscribed to. Called once, by whoever uses the channels. */
  onMessage(hear: (channel: string, text: string) => void): void
  health(): RedisHealth
}

export type RedisServer = Channels & {
  /** For commands: rejects at once while it is down, otherwise after `commandMsMax` at the latest. */
  readonly commands: Redis
  /** Sends what waits, then closes both connections. */
  close(): Promise<void>
}

export type RedisServerOptions = RedisAddress & {
  clock: Clock
  random: Random
  /** Told when it comes up or goes down, and once when it is not there at first; `error` is the last one met. */
  onChange(health: RedisHealth, error: unknown): void
}

const connectMsMax = 2_000
/** What a caller waits for at most: a request to the API waits for two commands, and then counts in memory. */
const commandMsMax = 250
/** Without an answer for this long while one is due, a connection is given up and made anew. */
const silenceMsMax = 1_000
/** A server that does not answer does not say goodbye either. */
const farewellMsMax = 250
/** Between two PINGs: a connection that nobody uses does not notice otherwise that nobody is there. */
const pingEveryMs = 1_000
const reconnectMsMin = 50
const reconnectMsMax = 2_000

/** Begins to connect and returns. Throws RangeError for a URL with a complaint, and nothing for a server that is not there. */
export function openRedis({ url, ca, clock, random, onChange }: RedisServerOptions): RedisServer {
  const options: ConnectOptions = {
    ...redisOptionsFrom({ url, ca }),
    connectionName: 'pf3',
    disableClientInfo: true,
    connectTimeout: connectMsMax,
    commandTimeout: commandMsMax,
    socketTimeout: silenceMsMax,
    disconnectTimeout: farewellMsMax,
    enableOfflineQueue: false,
    // A command that met a lost connection may have been done: sent again, it would count twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    // Half of it is chance, so that a thousand processes do not come back in the same moment.
    retryStrategy: (times) =>
      Math.min(reconnectMsMax, reconnectMsMin * 2 ** Math.min(times, 10)) * (0.5 + random.fraction() / 2),
  }
  const commands = new Redis(options)
  const subscriptions = new Redis(options)
  const both = [commands, subscriptions]
  const wanted = new Set<string>()
  let health: RedisHealth = { state: 'down', sinceMs: clock.nowMs() }
  let wasTold = false
  let isClosing = false
  let lastError: unknown
  let stopPinging = () => {}

  function look(): void {
    const state = both.every(({ status }) => status === 'ready') ? 'up' : 'down'
    if (isClosing || (state === health.state && wasTold)) return
    wasTold = true
    if (state !== health.state) health = { state, sinceMs: clock.nowMs() }
    onChange(health, state === 'up' ? undefined : lastError)
  }

  for (const one of both) {
    // Without a listener the driver writes to the console. That it is not there is told by `close`.
    one.on('error', (error) => {
      lastError = error
    })
    one.on('close', look)
    one.on('ready', () => {
      if (both.every(({ status }) => status === 'ready')) look()
    })
  }
  subscriptions.on('ready', () => {
    if (wanted.size > 0) void subscriptions.subscribe(...wanted).catch(ignore)
  })

  function ping(): void {
    // Answers do not matter: silence ends the connection.
    for (const one of both) if (one.status === 'ready') void one.ping().catch(ignore)
    stopPinging = clock.after(pingEveryMs, ping)
  }
  stopPinging = clock.after(pingEveryMs, ping)

  const underWay = new Set<Promise<void>>()

  return {
    commands,
    health: () => health,
    publish(channel, text) {
      if (health.state === 'down') return Promise.resolve()
      const sent = commands.publish(channel, text).then(ignore, ignore)
      underWay.add(sent)
      return sent.then(() => void underWay.delete(sent))
    },
    subscribe(channel) {
      if (wanted.has(channel)) return
      wanted.add(channel)
      if (subscriptions.status === 'ready') void subscriptions.subscribe(channel).catch(ignore)
    },
    onMessage(hear) {
      subscriptions.on('message', hear)
    },
    async close() {
      isClosing = true
      stopPinging()
      await Promise.all(underWay)
      for (const one of both) one.disconnect()
    },
  }
}

/** What a server says of itself. Throws what the driver met, also when it does not answer within two seconds. */
export async function askRedis(address: RedisAddress): Promise<{ version: string; tls: string | undefined }> {
  const redis = new Redis({
    ...redisOptionsFrom(address),
    lazyConnect: true,
    disableClientInfo: true,
    connectTimeout: connectMsMax,
    commandTimeout: connectMsMax,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
  })
  let met: unknown
  redis.on('error', (error) => {
    met ??= error
  })
  try {
    await redis.connect()
    await redis.ping()
    const version = /^redis_version:(?<version>\S+)/m.exec(await redis.info('server'))?.groups?.['version'] ?? ''
    const { stream } = redis
    return { version, tls: stream instanceof TLSSocket ? (stream.getProtocol() ?? undefined) : undefined }
  } catch (error) {
    throw met ?? error
  } finally {
    redis.disconnect()
  }
}

const ignore = (): void => undefined
