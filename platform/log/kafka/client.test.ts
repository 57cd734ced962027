/** What of kafkajs is used that it does not promise: a new version that lacks it must not get in unnoticed. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterEach, expect, test, vi } from 'vitest'
import type { BrokerClient, Exchange } from './client.ts'
import { fetch, produce } from './exchange.ts'
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

type Queue = {
  pending: unknown[]
  throttleCheckTimeoutId: NodeJS.Timeout | null
  push(request: object): void
  fulfillRequest(answer: { correlationId: number; payload: Buffer; size: number }): void
  maybeThrottle(ms: number): void
  destroy(): void
}
const RequestQueue = fromHere('kafkajs/src/network/requestQueue') as new (parts: object) => Queue

/** One request at a time, and what was sent. */
function queueOf() {
  const logger = { debug() {}, warn() {} }
  const queue = new RequestQueue({ maxInFlightRequests: 1, requestTimeout: 1_000, clientId: '', broker: '', logger })
  const sent: number[] = []
  const push = (correlationId: number) =>
    queue.push({
      entry: { correlationId, resolve() {}, reject() {} },
      expectResponse: true,
      sendRequest: () => void sent.push(correlationId),
    })
  const answer = (correlationId: number) => queue.fulfillRequest({ correlationId, payload: Buffer.alloc(0), size: 0 })
  return { queue, sent, push, answer }
}

test('a connection that has nothing to send wakes nobody', () => {
  const { queue, sent, push, answer } = queueOf()
  push(1)
  answer(1)
  expect([sent, queue.throttleCheckTimeoutId]).toEqual([[1], null])
})

test('what waits for an answer, or because a broker asked for it, is sent in the end', async () => {
  const { queue, sent, push, answer } = queueOf()
  push(1)
  push(2)
  expect(sent).toEqual([1])
  answer(1)
  queue.maybeThrottle(20)
  answer(2)
  push(3)
  expect(sent).toEqual([1, 2])
  await vi.waitFor(() => expect(sent).toEqual([1, 2, 3]))
  queue.destroy()
})

const Broker: new (parts: object) => BrokerClient & Record<'produce' | 'fetch', (request: object) => Promise<unknown>> =
  fromHere('kafkajs/src/broker')
const Encoder = fromHere('kafkajs/src/protocol/encoder')
const requestBytes: (parts: object) => Promise<{ buffer: Buffer }> = fromHere('kafkajs/src/protocol/request')

/** A broker of kafkajs that knows these versions of Produce and Fetch, and what it hands to its connections. */
async function brokerOf(maxVersion: number, answer: () => Promise<unknown> = async () => ({ topics: [] })) {
  const sent: Exchange[] = []
  const calls = { destroyed: 0 }
  const connectionPool = {
    isConnected: () => false,
    getConnection: async () => ({ getSupportAuthenticationProtocol: () => true, authenticate: async () => undefined }),
    setVersions: () => undefined,
    async send(exchange: Exchange) {
      sent.push(exchange)
      return answer()
    },
    async destroy() {
      calls.destroyed++
    },
  }
  const logger = { namespace: () => ({ debug: () => undefined }) }
  const broker = new Broker({
    connectionPool,
    logger,
    versions: { 0: { minVersion: 3, maxVersion }, 1: { minVersion: 4, maxVersion } },
  })
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

test.each([4, 7, 11, 17])('facts are asked for as kafkajs asks a broker that knows version %i', async (maxVersion) => {
  const { broker, sent } = await brokerOf(maxVersion, async () => ({ responses: [] }))
  const partitions = [{ partition: 3, fetchOffset: '17', maxBytes: 1_000 }]
  const wanted = {
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime: 250,
    minBytes: 1,
    maxBytes: 2_000,
    topics: [{ topic: 'pf3.jobs', partitions }],
  }
  await broker.fetch(wanted)
  expect(await fetch(broker, wanted)).toEqual({ responses: [] })

  const [theirs, ours] = sent
  const framed = { correlationId: 5, clientId: 'pf3' }
  const bytes = await Promise.all([theirs, ours].map((one) => requestBytes({ ...framed, request: one?.request })))
  expect(bytes[1]?.buffer).toEqual(bytes[0]?.buffer)
  expect(ours?.request).toMatchObject({ apiKey: 1, apiVersion: Math.min(maxVersion, 11), apiName: 'Fetch' })
  expect([ours?.requestTimeout, ours?.response.parse]).toEqual([350, theirs?.response.parse])
  // Read from where it was asked for: what kafkajs parses for failures, as its own answers.
  const failed = new Encoder().writeInt32(0)
  if (maxVersion >= 7) failed.writeInt16(0).writeInt32(0)
  const partition = new Encoder().writeInt32(3).writeInt16(1).writeInt64(-1).writeInt64(-1)
  if (maxVersion >= 5) partition.writeInt64(-1)
  partition.writeInt32(-1)
  if (maxVersion >= 11) partition.writeInt32(-1)
  partition.writeInt32(0)
  failed.writeArray([new Encoder().writeString('pf3.jobs').writeArray([partition], 'object')], 'object')
  const answered = await ours?.response.decode(failed.buffer)
  expect(answered).toMatchObject({ responses: [{ topicName: 'pf3.jobs', partitions: [{ errorCode: 1, next: 17n }] }] })
  await expect(ours?.response.parse(answered ?? {})).rejects.toMatchObject({ type: 'OFFSET_OUT_OF_RANGE' })
})

test('a broker from before transactions is refused, and nothing is sent to it', async () => {
  const { broker, sent } = await brokerOf(2)
  await expect(produce(broker, body)).rejects.toThrow('Produce up to version 2, and 3 is needed: Kafka 4.0 or later')
  const wanted = { replicaId: -1, isolationLevel: 1, maxWaitTime: 250, minBytes: 1, maxBytes: 2_000, topics: [] }
  await expect(fetch(broker, wanted)).rejects.toThrow('Fetch up to version 2, and 4 is needed: Kafka 4.0 or later')
  expect(sent).toEqual([])
})

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
  const { Produce, Fetch } = fromHere('kafkajs/src/protocol/requests').requests
  expect(Fetch.versions).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11'])
  expect(Produce.versions).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  expect(Produce.protocol({ version: 7 })({ acks: -1, topicData: [] }).request.expectResponse()).toBe(true)
})
