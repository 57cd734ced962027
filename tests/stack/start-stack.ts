/** The whole stack of the distributed profile without Docker: Kafka, registry, PostgreSQL, Redis, on free loopback ports. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../postgres/start-postgres.ts'
import type { StackEnvironment } from './environment.ts'
import { stackJars } from './jars.ts'
import { type KafkaStack, startKafka } from './kafka.ts'
import { type RedisStack, startRedis } from './redis.ts'
import { type RegistryStack, startRegistry } from './registry.ts'

export type Stack = {
  dir: string
  kafka: KafkaStack
  registry: RegistryStack
  redis: RedisStack
  postgresUrl: string
  environment: StackEnvironment
  /** Ends every process and removes what they wrote. */
  stop(): Promise<void>
}

export type StackOptions = {
  brokerCount?: 1 | 3
  /** Is told what has come up. */
  onUp?: (what: string, afterMs: number) => void
}

/** Starts everything side by side. When a part does not come up, the others are ended, and the reason is thrown. */
export async function startStack({ brokerCount = 1, onUp = () => {} }: StackOptions = {}): Promise<Stack> {
  const sinceMs = Date.now()
  const jars = stackJars()
  const dir = mkdtempSync(join(tmpdir(), 'pf3-stack-'))
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    await Promise.all(stops.splice(0).map((end) => end()))
    rmSync(dir, { recursive: true, force: true })
  }
  const up = async <Part extends { stop(): Promise<void> }>(what: string, starting: Promise<Part>): Promise<Part> => {
    const part = await starting
    stops.push(part.stop)
    onUp(what, Date.now() - sinceMs)
    return part
  }
  const parts = await Promise.allSettled([
    up(
      `Kafka, ${brokerCount === 1 ? 'one broker' : 'three brokers'}`,
      startKafka({ jars: jars.kafka, dir, brokerCount }),
    ),
    up('the schema registry', startRegistry({ jars: jars.registry, dir })),
    up('PostgreSQL', startPostgres()),
    up('Redis', startRedis({ dir })),
  ])
  const [kafka, registry, postgres, redis] = parts
  const failed = parts.find((part) => part.status === 'rejected')
  if (
    failed ||
    kafka.status !== 'fulfilled' ||
    registry.status !== 'fulfilled' ||
    postgres.status !== 'fulfilled' ||
    redis.status !== 'fulfilled'
  ) {
    await stop()
    throw failed?.reason
  }
  return {
    dir,
    kafka: kafka.value,
    registry: registry.value,
    redis: redis.value,
    postgresUrl: postgres.value.url,
    environment: {
      PF3_KAFKA_BROKERS: kafka.value.addresses,
      PF3_REGISTRY_URL: registry.value.url,
      PF3_POSTGRES_URL: postgres.value.url,
      PF3_REDIS_URL: redis.value.url,
    },
    stop,
  }
}
