/** The stack in containers, with the images of docker-compose.yml; ended, and taken away when the process dies, by testcontainers. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers'
import { parse } from 'yaml'
import { freePort } from '../machine/free-port.ts'
import type { StackEnvironment } from './environment.ts'
import { brokerRules } from './kafka-settings.ts'

export type InContainers = { environment: StackEnvironment; stop(): Promise<void> }

export type Images = { kafka: string; registry: string; postgres: string; redis: string }

const loopback = '127.0.0.1'
const startMsMax = 180_000

/** Whether an engine answers, found as testcontainers finds it: DOCKER_HOST, the context, the usual sockets. */
export async function hasDocker(): Promise<boolean> {
  return await getContainerRuntimeClient().then(
    () => true,
    () => false,
  )
}

/** What the composition runs, so that both are the same. The registry of tests keeps its schemas in memory. */
export function imagesOf(compose: string): Images {
  const { services } = parse(compose, { merge: true }) as { services: Record<string, { image?: string }> }
  const image = (service: string): string => {
    const found = services[service]?.image
    if (found === undefined) throw new Error(`docker-compose.yml says no image for ${service}.`)
    return found
  }
  return {
    kafka: image('kafka'),
    registry: image('schemas').replace('-kafkasql:', '-mem:'),
    postgres: image('postgres'),
    redis: image('redis'),
  }
}

/** Starts one broker, registry, PostgreSQL and Redis side by side. When one does not come up the others are ended, and why is thrown. */
export async function startContainers(): Promise<InContainers> {
  const images = imagesOf(readFileSync(join(import.meta.dirname, '..', '..', 'docker-compose.yml'), 'utf8'))
  const password = randomBytes(18).toString('hex')
  // A client goes where the broker says it is: the port has to be known before.
  const kafkaPort = await freePort()
  const parts = await Promise.allSettled([
    new GenericContainer(images.kafka)
      .withEnvironment(kafkaEnvironment(kafkaPort))
      .withExposedPorts({ container: clientPort, host: kafkaPort })
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .withStartupTimeout(startMsMax)
      .start(),
    new GenericContainer(images.registry)
      .withExposedPorts(8080)
      .withWaitStrategy(Wait.forHttp('/apis/ccompat/v7/subjects', 8080))
      .withStartupTimeout(startMsMax)
      .start(),
    new GenericContainer(images.postgres)
      .withEnvironment({ POSTGRES_USER: 'pf3_test', POSTGRES_DB: 'postgres', POSTGRES_PASSWORD: password })
      .withExposedPorts(5432)
      // Once for the server that makes the database, once for the one that stays.
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
      .withStartupTimeout(startMsMax)
      .start(),
    new GenericContainer(images.redis)
      .withCommand(['redis-server', '--appendonly', 'yes', '--requirepass', password])
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
      .withStartupTimeout(startMsMax)
      .start(),
  ])
  const started = parts.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []))
  const stop = async () => void (await Promise.all(started.map((container) => container.stop())))
  const failed = parts.find((part) => part.status === 'rejected')
  const [, registry, postgres, redis] = started
  if (failed || !registry || !postgres || !redis) {
    await stop()
    throw failed?.reason
  }
  const at = (container: StartedTestContainer, port: number) => `${loopback}:${container.getMappedPort(port)}`
  const schemasAt = at(registry, 8080)
  return {
    environment: {
      PF3_KAFKA_BROKERS: `${loopback}:${kafkaPort}`,
      PF3_REGISTRY_URL: `http://${schemasAt}/apis/ccompat/v7`,
      PF3_POSTGRES_URL: `postgres://pf3_test:${password}@${at(postgres, 5432)}/postgres`,
      PF3_REDIS_URL: `redis://:${password}@${at(redis, 6379)}`,
    },
    stop,
  }
}

const clientPort = 9092

/** The image takes every property of a broker as KAFKA_ and its name. A broker speaks to itself too, and cannot by the port of the host. */
export function kafkaEnvironment(hostPort: number): Record<string, string> {
  const properties: Record<string, string> = {
    ...brokerRules(1),
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${loopback}:9093`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `CLIENT://0.0.0.0:${clientPort},ITSELF://${loopback}:9094,CONTROLLER://${loopback}:9093`,
    'advertised.listeners': `CLIENT://${loopback}:${hostPort},ITSELF://${loopback}:9094`,
    'inter.broker.listener.name': 'ITSELF',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,CLIENT:PLAINTEXT,ITSELF:PLAINTEXT',
  }
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [`KAFKA_${name.replaceAll('.', '_').toUpperCase()}`, value]),
  )
}
