/** Apache Kafka without Docker: one or three brokers in KRaft mode, each broker and controller in one, on free loopback ports. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type KafkaConnection, kafkaClient } from '../../platform/log/kafka/client.ts'
import { freePort } from '../machine/free-port.ts'
import { stackJars } from './jars.ts'
import { addressOf, formattingUser, type Secured, serverProperties } from './kafka-settings.ts'
import { answering, isOpen, type Part, startPart } from './machine.ts'

export type Broker = {
  id: number
  name: string
  address: string
  /** Begins it, again on the same ports and data, and waits until the cluster counts on it. */
  start(): Promise<void>
  /** Lets it hand over what it leads, and waits. */
  stop(): Promise<void>
  /** SIGKILL: it tells nobody. */
  kill(): Promise<void>
}

export type KafkaStack = {
  brokers: readonly Broker[]
  addresses: string
  /** What a client of it is told. */
  connection: KafkaConnection
  stop(): Promise<void>
}

export type KafkaOptions = {
  jars: string
  dir: string
  brokerCount: 1 | 3
  /** TLS 1.3 and SCRAM-SHA-512, and nothing else, for clients and brokers alike; without it, plain text. */
  secured?: Secured
  /** Properties of the brokers, where they are to be otherwise. */
  rules?: Readonly<Record<string, string>>
}

const startWaitMs = 90_000
const clusterId = 'cGYzLXN0YWNrLWNsdXN0ZQ'
const heap = ['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export async function startKafka({ jars, dir, brokerCount, secured, rules }: KafkaOptions): Promise<KafkaStack> {
  const places = await Promise.all(
    Array.from({ length: brokerCount }, async (_, index) => ({
      id: index + 1,
      clientPort: await freePort(),
      controllerPort: await freePort(),
    })),
  )
  const voters = places.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(',')
  const java = [
    ...heap,
    `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.xml')}`,
    '-cp',
    join(jars, '*'),
  ]
  const pem = secured && { ...secured, ...writePem(dir, secured) }
  const access = secured && {
    tls: { ca: secured.cert },
    sasl: { username: secured.username, password: secured.password },
  }

  async function prepare(place: (typeof places)[number]): Promise<Broker> {
    const home = join(dir, `kafka-${place.id}`)
    mkdirSync(home, { recursive: true })
    const file = join(home, 'server.properties')
    const settings = { ...place, voters, brokerCount, dataDir: join(home, 'data'), secured: pem, rules }
    writeFileSync(file, serverProperties(settings), { mode: 0o600 })
    const user = secured ? formattingUser(secured) : []
    await promisify(execFile)('java', [
      ...[...java, 'kafka.tools.StorageTool', 'format', '--ignore-formatted'],
      ...['-t', clusterId, '-c', file, ...user],
    ])
    const connection = { brokers: [addressOf(settings)], ...access }
    return newBroker({ id: place.id, port: place.clientPort, home, args: [...java, 'kafka.Kafka', file], connection })
  }

  const brokers = await Promise.all(places.map(prepare))
  const stop = async () => void (await Promise.all(brokers.map((one) => one.stop())))
  try {
    await Promise.all(brokers.map((one) => one.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const addresses = brokers.map(({ address }) => address)
  return { brokers, addresses: addresses.join(','), connection: { brokers: addresses, ...access }, stop }
}

/** Brokers of a test's own, which go with all they wrote when they are stopped. */
export async function startOwnKafka(options: Omit<KafkaOptions, 'jars' | 'dir'>): Promise<KafkaStack> {
  const dir = mkdtempSync(join(tmpdir(), 'pf3-brokers-'))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  try {
    const kafka = await startKafka({ jars: stackJars().kafka, dir, ...options })
    const stop = () => kafka.stop().finally(remove)
    return { ...kafka, stop }
  } catch (error) {
    remove()
    throw error
  }
}

type BrokerProcess = { id: number; port: number; home: string; args: readonly string[]; connection: KafkaConnection }

function newBroker({ id, port, home, args, connection }: BrokerProcess): Broker {
  const logFile = join(home, 'broker.log')
  let part: Part | undefined
  const name = `broker ${id}`
  return {
    id,
    name,
    address: connection.brokers.join(','),
    async start() {
      if (part?.isRunning()) throw new Error(`Broker ${id} runs already.`)
      part = startPart({ name: `Kafka broker ${id}`, command: 'java', args, cwd: home, logFile })
      await answering(part, logFile, startWaitMs, async () => (await isOpen(port)) && isCounted(id, connection))
    },
    stop: async () => void (await part?.stop()),
    kill: async () => void (await part?.stop('SIGKILL')),
  }
}

/** Until a broker finds itself among those of the cluster it has no part in new topics, though it answers. */
async function isCounted(id: number, connection: KafkaConnection): Promise<boolean> {
  const admin = kafkaClient(connection).admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    return brokers.some(({ nodeId }) => nodeId === id)
  } finally {
    await admin.disconnect()
  }
}

function writePem(dir: string, { cert, key }: Secured): { keyStore: string; trustStore: string } {
  const files = { keyStore: join(dir, 'kafka-key-store.pem'), trustStore: join(dir, 'kafka-trust-store.pem') }
  writeFileSync(files.keyStore, `${key}${cert}`, { mode: 0o600 })
  writeFileSync(files.trustStore, cert)
  return files
}
