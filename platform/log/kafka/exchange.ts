/**
 * The two requests that carry records, with bytes that are written and read here and not by kafkajs: what its broker class
 * does to produce and to fetch, by its connections and in the version that both sides know.
 */
import { createRequire } from 'node:module'
import { PlatformError } from '../../errors.ts'
import { oldestKafka } from './broker-age.ts'
import type { TopicPartition } from './brokers.ts'
import type { BrokerClient, Exchange } from './client.ts'
import { decodeFetched, type FetchAnswer } from './fetched.ts'

export type ProduceAnswer = {
  topics: { topicName: string; partitions: { partition: number; baseOffset: string }[] }[]
}

/** `isolationLevel`: of `isolation`. */
export type FetchRequest = {
  replicaId: number
  isolationLevel: number
  maxWaitTime: number
  minBytes: number
  maxBytes: number
  topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
}

const fromHere = createRequire(import.meta.url)
type Named<Of> = { Produce: Of; Fetch: Of }
const keys = fromHere('kafkajs/src/protocol/requests/apiKeys') as Named<number>
const { requests: versions } = fromHere('kafkajs/src/protocol/requests') as { requests: Named<object> }

/** With these versions came transactions and the format of records that is written and read here. */
const oldest: Named<number> = { Produce: 3, Fetch: 4 }

function exchangeOf(broker: BrokerClient, name: keyof Named<unknown>, wanted: object): Exchange {
  const exchange = broker.lookupRequest(keys[name], versions[name])(wanted)
  const { apiVersion } = exchange.request
  if (apiVersion >= oldest[name]) return exchange
  throw new PlatformError('LOG_UNAVAILABLE', {
    problem: `the broker knows ${name} up to version ${apiVersion}, and ${oldest[name]} is needed: Kafka ${oldestKafka} or later`,
  })
}

/**
 * With a body that `record-batch.ts` has encoded: the same for all versions from 3 on, and a broker that has transactions has
 * that one. Throws LOG_UNAVAILABLE for an older broker, as `fetch` does.
 */
export async function produce(broker: BrokerClient, body: Buffer): Promise<ProduceAnswer> {
  const { request, response } = exchangeOf(broker, 'Produce', { acks: -1, topicData: [] })
  const encode = async () => ({ buf: body, buffer: body })
  return (await send(broker, { request: { ...request, encode }, response })) as ProduceAnswer
}

/**
 * Asks for topics in the order that is given: what does not fit into `maxBytes` beside the topics before it is left out. Throws
 * RECORD_DAMAGED for what `fetched.ts` cannot read.
 */
export async function fetch(broker: BrokerClient, wanted: FetchRequest): Promise<FetchAnswer> {
  const exchange = exchangeOf(broker, 'Fetch', wanted)
  const { request, response } = exchange
  const offsets = new Map(
    wanted.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, fetchOffset }) => [`${topic}/${partition}`, BigInt(fetchOffset)]),
    ),
  )
  const from = ({ topic, partition }: TopicPartition) => offsets.get(`${topic}/${partition}`) ?? 0n
  const decode = async (answer: Buffer) => decodeFetched(answer, request.apiVersion, from)
  return (await send(broker, { ...exchange, response: { decode, parse: response.parse } })) as FetchAnswer
}

async function send(broker: BrokerClient, exchange: Exchange): Promise<object> {
  try {
    return await broker.connectionPool.send(exchange)
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSConnectionClosedError') await broker.disconnect()
    throw error
  }
}
