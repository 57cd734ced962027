/** The Redis that processes share, when the configuration names one. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Clock, Random } from '../platform/clock.ts'
import type { RedisAddress } from '../platform/redis/connection.ts'
import type { RedisServer } from '../platform/redis/redis.ts'
import type { Relay } from '../platform/relay/relay.ts'
import type { Logger } from '../platform/telemetry/service-log.ts'
import type { MasterKey } from '../platform/vault/master-key.ts'
import { type Config, ConfigError } from './config.ts'

export type SharedRedis = {
  server: RedisServer
  /** Begins every key and channel of this installation. */
  prefix: string
  /** `local`, heard in the other processes too. */
  relay(local: Relay): Relay
}

export type SharedRedisParts = {
  masterKey: Pick<MasterKey, 'derive'>
  clock: Clock
  random: Random
  logger: Logger
}

/** Undefined without PF3_REDIS_URL. Does not wait for the server. Throws ConfigError for an authority that is none. */
export async function sharedRedis(config: Config['redis'], parts: SharedRedisParts): Promise<SharedRedis | undefined> {
  if (config === undefined) return undefined
  const { masterKey, clock, random, logger } = parts
  // Loaded where it is used: a start without Redis need not read the driver.
  const [{ openRedis }, { redisRelay }] = await Promise.all([
    import('../platform/redis/redis.ts'),
    import('../platform/relay/redis-relay.ts'),
  ])
  // From the master key, which all processes of an installation have and no other installation has.
  const prefix = `pf3:${Buffer.from(await masterKey.derive('redis prefix')).toString('hex', 0, 8)}:`
  let wasAway = false
  const server = openRedis({
    ...redisAddress(config),
    clock,
    random,
    onChange({ state }, error) {
      if (state === 'down') logger('Redis is away', { error })
      else if (wasAway) logger('Redis is back')
      wasAway = state === 'down'
    },
  })
  const origin = Buffer.from(random.bytes(8)).toString('hex')
  return { server, prefix, relay: (local) => redisRelay({ local, channels: server, prefix, origin }) }
}

/** Throws ConfigError when the file of the authority cannot be read or holds none. */
export function redisAddress({ url, caFile }: Exclude<Config['redis'], undefined>): RedisAddress {
  if (caFile === undefined) return { url }
  try {
    const ca = readFileSync(caFile, 'utf8')
    createSecureContext({ ca })
    return { url, ca }
  } catch (error) {
    throw new ConfigError([
      `PF3_REDIS_CA_FILE: the certificate of an authority in PEM was expected in ${caFile}: ${error instanceof Error ? error.message : error}`,
    ])
  }
}
