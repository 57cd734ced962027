/** What of kafkajs is used that it does not promise: a new version that lacks it must not get in unnoticed. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterEach, expect, test, vi } from 'vitest'
import { type BrokerClient, produce } from './client.ts'
import { encodeProduce } from './record-batch.ts'

const fromHere = createRequire(import.meta.url)
const methodsOf = (name: string): string[] =>
  Object.getOwnPropertyNames((fromHere(`kafkajs/src/${name}`) as { prototype: object }).prototype)

test('the version is the one whose inside is known', () => {
  const { dependencies } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>
  }
  expect(dependencies['kafkajs']).toBe('2.2.4')
  expect((fromHere('kafkajs/package.json') as { version: string }).version).toBe('2.2.4')
})

test('cluster and broker have the methods that readers and transactions go by', () => {
  expect(methodsOf('cluster')).toEqual(
    expect.arrayContaining([
      'connect',
      'disconnect',
      'addMultipleTargetTopics',
      'findTopicPartitionMetadata',
      'findBroker',
      'findGroupCoordinator',
    ]),
  )
  expect(methodsOf('broker')).toEqual(
    expect.arrayContaining([
      'connect',
      'disconnect',
      'fetch',
      'listOffsets',
      'initProducerId',
      'addPartitionsToTxn',
      'addOffsetsToTxn',
      'txnOffsetCommit',
      'endTxn',
      'leaveGroup',
    ]),
  )
  expect(Object.keys(fromHere('kafkajs/src/retry/defaults') as object)).toEqual(
    expect.arrayContaining(['initialRetryTime', 'factor', 'multiplier', 'maxRetryTime', 'retries']),
  )
})

type Sent = { request: { encode(): Promise<object> }; response: object }
const Broker: new (parts: object) => BrokerClient & Record<'produce', (request: object) => Promise<unknown>> =
  fromHere('kafkajs/src/broker')
const requestBytes: (parts: object) => Promise<{ buffer: Buffer }> = fromHere('kafkajs/src/protocol/request')

/** A broker of kafkajs that knows these versions of Produce, and what it hands to its connections. */
async function brokerOf(maxVersion: number, answer: () => Promise<unknown> = async () => ({ topics: [] })) {
  const sent: Sent[] = []
  const calls = { destroyed: 0 }
  const connectionPool = {
    isConnected: () => false,
    getConnection: async () => ({ getSupportAuthenticationProtocol: () => true, authenticate: async () => undefined }),
    setVersions: () => undefined,
    async send(exchange: Sent) {
      sent.push(exchange)
      return answer()
    },
    async destroy() {
      calls.destroyed++
    },
  }
  const logger = { namespace: () => ({ debug: () => undefined }) }
  const broker = new Broker({ connectionPool, logger, versions: { 0: { minVersion: 3, maxVersion } } })
  await broker.connect()
  return { broker, sent, calls }
}

const producer = { transactionalId: 'pf3.owner-0', producerId: '4711', producerEpoch: 2 }
const part = { topic: 'pf3.jobs', partition: 3, firstSequence: 17 }
const records = [{ key: 'job-000017', value: Buffer.from('a fact'), headers: { seq: '1234', last: '1240' } }]
const nowMs = Date.parse('2026-11-01T12:00:00Z')
const body = encodeProduce({ ...producer, timeoutMs: 7_000, nowMs, batches: [{ ...part, records }] })

afterEach(() => {
  vi.useRealTimers()
})

test.each([3, 5, 7, 12])(
  'a body of ours goes out as what kafkajs sends to a broker that knows version %i',
  async (maxVersion) => {
    vi.useFakeTimers({ toFake: ['Date'], now: nowMs })
    const { broker, sent } = await brokerOf(maxVersion)
    const { firstSequence, partition, topic } = part
    const topicData = [{ topic, partitions: [{ partition, firstSequence, messages: records }] }]
    await broker.produce({ ...producer, acks: -1, timeout: 7_000, topicData })
    expect(await produce(broker, body)).toEqual({ topics: [] })

    const [theirs, ours] = sent
    const framed = { correlationId: 5, clientId: 'pf3' }
    const bytes = await Promise.all([theirs, ours].map((one) => requestBytes({ ...framed, request: one?.request })))
    expect(bytes[1]?.buffer).toEqual(bytes[0]?.buffer)
    expect(ours?.request).toEqual({
      ...theirs?.request,
      encode: expect.any(Function),
      expectResponse: expect.any(Function),
    })
    expect(ours?.request).toMatchObject({ apiKey: 0, apiVersion: Math.min(maxVersion, 7), apiName: 'Produce' })
    expect(ours?.response).toBe(theirs?.response)
  },
)

test('a connection that is lost meanwhile is ended, as kafkajs does, and told', async () => {
  const { KafkaJSConnectionClosedError, KafkaJSProtocolError } = fromHere('kafkajs/src/errors')
  const lost = new KafkaJSConnectionClosedError('gone', {})
  const closed = await brokerOf(7, () => Promise.reject(lost))
  await expect(produce(closed.broker, body)).rejects.toBe(lost)
  expect(closed.calls.destroyed).toBe(1)

  const fenced = new KafkaJSProtocolError({ type: 'INVALID_PRODUCER_EPOCH', message: 'fenced' })
  const refused = await brokerOf(7, () => Promise.reject(fenced))
  await expect(produce(refused.broker, body)).rejects.toBe(fenced)
  expect(refused.calls.destroyed).toBe(0)
})

test('a request is sent by its connections, and has an answer', () => {
  expect(methodsOf('network/connectionPool')).toEqual(expect.arrayContaining(['send', 'destroy']))
  const { Produce } = fromHere('kafkajs/src/protocol/requests').requests
  expect(Produce.versions).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  expect(Produce.protocol({ version: 7 })({ acks: -1, topicData: [] }).request.expectResponse()).toBe(true)
})
