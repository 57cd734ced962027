/** Apache Kafka without Docker: one or three brokers in KRaft mode, each broker and controller in one, on free loopback ports. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../machine/free-port.ts'
import { answering, isOpen, type Part, startPart } from './machine.ts'

export type Broker = {
  id: number
  address: string
  start(): Promise<void>
  stop(signal?: NodeJS.Signals): Promise<void>
}
export type KafkaStack = { brokers: readonly Broker[]; addresses: string; stop(): Promise<void> }

export type KafkaOptions = {
  jars: string
  dir: string
  brokerCount: 1 | 3
}

const startWaitMs = 90_000
const clusterId = 'cGYzLXN0YWNrLWNsdXN0ZQ'
const heap = ['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export async function startKafka({ jars, dir, brokerCount }: KafkaOptions): Promise<KafkaStack> {
  const ids = Array.from({ length: brokerCount }, (_, index) => index + 1)
  const ports = new Map<number, { client: number; controller: number }>()
  for (const id of ids) ports.set(id, { client: await freePort(), controller: await freePort() })
  const portsOf = (id: number) => ports.get(id) ?? { client: 0, controller: 0 }
  const voters = ids.map((id) => `${id}@127.0.0.1:${portsOf(id).controller}`).join(',')
  const java = [
    ...heap,
    `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.xml')}`,
    '-cp',
    join(jars, '*'),
  ]

  function prepare(id: number): string {
    const home = join(dir, `kafka-${id}`)
    mkdirSync(home, { recursive: true })
    const { client, controller } = portsOf(id)
    const replicas = String(brokerCount)
    const properties: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': String(id),
      'controller.quorum.voters': voters,
      'controller.listener.names': 'CONTROLLER',
      listeners: `PLAINTEXT://127.0.0.1:${client},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${client}`,
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      'log.dirs': join(home, 'data'),
      'auto.create.topics.enable': 'false',
      'offsets.topic.replication.factor': replicas,
      'offsets.topic.num.partitions': '12',
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': brokerCount === 3 ? '2' : '1',
      'transaction.state.log.num.partitions': '12',
      'min.insync.replicas': brokerCount === 3 ? '2' : '1',
      'default.replication.factor': replicas,
      'group.initial.rebalance.delay.ms': '0',
      // A group that stands empty for longer than this loses its offsets; ours are what was taken of the intake.
      'offsets.retention.minutes': '5256000',
    }
    const file = join(home, 'server.properties')
    writeFileSync(
      file,
      Object.entries(properties)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    execFileSync(
      'java',
      [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file, '--ignore-formatted'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    return file
  }

  function broker(id: number): Broker {
    const file = prepare(id)
    const home = join(dir, `kafka-${id}`)
    const logFile = join(home, 'broker.log')
    const { client } = portsOf(id)
    let part: Part | undefined
    return {
      id,
      address: `127.0.0.1:${client}`,
      async start() {
        part = startPart({
          name: `Kafka broker ${id}`,
          command: 'java',
          args: [...java, 'kafka.Kafka', file],
          cwd: home,
          logFile,
        })
        await answering(part, logFile, startWaitMs, () => isOpen(client))
      },
      async stop(signal) {
        await part?.stop(signal)
      },
    }
  }

  const brokers = ids.map(broker)
  const stop = async () => void (await Promise.all(brokers.map((one) => one.stop())))
  try {
    await Promise.all(brokers.map((one) => one.start()))
  } catch (error) {
    await stop()
    throw error
  }
  return { brokers, addresses: brokers.map(({ address }) => address).join(','), stop }
}
