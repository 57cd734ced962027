/**
 * The transactions of one id on Kafka, each as few requests as the protocol allows: partitions and the group are added,
 * then records and offsets written, each side by side, then it ends. kafkajs' own producer asks for the coordinator before each
 * of these and sends one after another, fifteen round trips instead of three; and what its send loses, see decision 18.
 *
 *   AddPartitionsToTxn ─── Produce, once per leader ─┬─ EndTxn
 *   AddOffsetsToTxn ────── TxnOffsetCommit ──────────┘
 *
 * What fails and may go right a moment later is sent again as it was. That writes nothing twice: brokers know a batch of
 * records by producer, epoch and sequence, and adding what was added is no change. Only the end is not sent again when its
 * answer is lost: then nobody knows, and the next owner finds out.
 */
import type { Clock } from '../../clock.ts'
import { sleep } from '../../clock.ts'
import { isFailure } from '../../errors.ts'
import { leaderOf, type TopicPartition } from './brokers.ts'
import {
  answered,
  type BrokerClient,
  type ClusterClient,
  clusterClient,
  coordinatorOf,
  farewell,
  isProtocolError,
  type KafkaConnection,
  type OutgoingRecord,
} from './client.ts'
import { produce } from './exchange.ts'
import { encodeProduce } from './record-batch.ts'

export type TopicRecords = TopicPartition & { records: OutgoingRecord[] }

export type Offsets = { groupId: string; topic: string; partition: number; offset: bigint; metadata: string }

export type Transactions = {
  /** Ends what the id's last user left open, and keeps it from writing ever again. Resolves when that is settled. */
  fence(): Promise<void>
  /**
   * Begins the next transaction, whose commit then need not add these partitions and the group any more. Never fails: the
   * commit does. No change when it is begun already; one that is never committed, brokers give up after `timeoutMs`.
   */
  begin(parts: readonly TopicPartition[], groupId: string): void
  /**
   * One transaction: all of the batches, each at most one per topic and at most 1 MB, and the offsets. Resolves with the
   * offset after the last record of each topic once it is committed. Rejects when it is not, or when nobody knows; then
   * nothing more may be written with this one.
   */
  commit(batches: readonly (readonly TopicRecords[])[], offsets: Offsets): Promise<ReadonlyMap<string, bigint>>
  close(): Promise<void>
}

export type TransactionsParts = {
  transactionalId: string
  /** Every topic that is ever written. */
  topics: readonly string[]
  connection: KafkaConnection
  clock: Clock
  /** After this a broker gives up a transaction that was not ended, in milliseconds. */
  timeoutMs: number
}

const retryMs = 20
/** The markers of the last transaction are being written, which takes a few milliseconds. */
const concurrentRetryMs = 2
/** A broker answers sooner than a request is given up. */
const produceMsMax = 7_000

/** Connects when it is first used. */
export function openTransactions(parts: TransactionsParts): Transactions {
  const { transactionalId, topics, connection, clock, timeoutMs } = parts
  type Client = { cluster: ClusterClient; coordinators: Map<string, Promise<BrokerClient>> }
  let connecting: Promise<Client> | undefined
  let isClosed = false
  let producer = { transactionalId, producerId: '-1', producerEpoch: -1 }
  const sequences = new Map<string, number>()

  async function connect(): Promise<Client> {
    const cluster = clusterClient(connection)
    try {
      await answered(
        clock,
        cluster.connect().then(() => cluster.addMultipleTargetTopics(topics)),
      )
      return { cluster, coordinators: new Map() }
    } catch (error) {
      void farewell(clock, cluster)
      throw error
    }
  }

  async function coordinator({ cluster, coordinators }: Client, of: keyof typeof coordinatorOf, groupId: string) {
    const found = coordinators.get(of) ?? cluster.findGroupCoordinator({ groupId, coordinatorType: coordinatorOf[of] })
    coordinators.set(of, found)
    const broker = await found
    // One that hung up meanwhile is called once: two requests of one turn would each open a connection, and lose one of them.
    await broker.connect()
    return broker
  }

  /** Runs `run` until it succeeds, or fails for good, or its time is over: brokers restart, leaders and coordinators move. */
  async function persist<Result>(
    run: (client: Client) => Promise<Result>,
    canRepeat: (error: unknown) => boolean = isPassing,
  ): Promise<Result> {
    const untilMs = clock.nowMs() + timeoutMs
    for (;;) {
      if (isClosed) throw new Error('the transactions of this id are given up')
      connecting ??= connect()
      const used = connecting
      try {
        const client = await used
        return await answered(clock, run(client))
      } catch (error) {
        if (isClosed || clock.nowMs() > untilMs || !canRepeat(error)) throw error
        if (isProtocolError(error, 'CONCURRENT_TRANSACTIONS')) await sleep(clock, concurrentRetryMs)
        else await startAnew(used)
      }
    }
  }

  /** Half of a client that has failed may never answer again; its ids and sequences are ours. */
  async function startAnew(used: Promise<Client>): Promise<void> {
    if (connecting === used) {
      connecting = undefined
      void used.then(({ cluster }) => farewell(clock, cluster)).catch(() => undefined)
    }
    await sleep(clock, retryMs)
  }

  const ask = <Result>(
    of: keyof typeof coordinatorOf,
    groupId: string,
    request: (broker: BrokerClient) => Promise<Result>,
    canRepeat?: (error: unknown) => boolean,
  ): Promise<Result> => persist(async (client) => request(await coordinator(client, of, groupId)), canRepeat)

  /** The sequence and the time of each batch are fixed before it is first sent. */
  async function write(batch: readonly TopicRecords[]): Promise<Map<string, bigint>> {
    const sequenced = batch.map((one) => ({ ...one, firstSequence: sequenceOf(one) }))
    const nowMs = clock.nowMs()
    const ends = new Map<string, bigint>()
    await persist(async ({ cluster }) => {
      const byLeader = Map.groupBy(sequenced, ({ topic, partition }) => leaderOf(cluster, { topic, partition }))
      const sent = [...byLeader].map(async ([nodeId, of]) => {
        const broker = await cluster.findBroker({ nodeId })
        return produce(broker, encodeProduce({ ...producer, timeoutMs: produceMsMax, nowMs, batches: of }))
      })
      // All answers are waited for: a request that is still on its way must not be overtaken by its repetition.
      const answers = await Promise.allSettled(sent)
      const failed = answers.find((answer) => answer.status === 'rejected')
      if (failed) throw failed.reason
      for (const answer of answers)
        if (answer.status === 'fulfilled')
          for (const { topicName, partitions } of answer.value.topics)
            ends.set(topicName, BigInt(partitions[0]?.baseOffset ?? '-1'))
    })
    for (const { topic, records } of sequenced) {
      const first = ends.get(topic)
      if (first === undefined) throw new Error(`nobody has confirmed the records of ${topic}`)
      ends.set(topic, first + BigInt(records.length))
    }
    return ends
  }

  function sequenceOf({ topic, records }: TopicRecords): number {
    const first = sequences.get(topic) ?? 0
    sequences.set(topic, (first + records.length) % 2 ** 31)
    return first
  }

  /** Whether the end of the last transaction was still being written when this one's began: then two requests would both be asked again. */
  let followsClosely = false

  const noting = (error: unknown): boolean => {
    followsClosely ||= isProtocolError(error, 'CONCURRENT_TRANSACTIONS')
    return isPassing(error)
  }

  async function addPartitions(parts: readonly TopicPartition[]): Promise<void> {
    if (parts.length === 0) return
    const request = { ...producer, topics: parts.map(({ topic, partition }) => ({ topic, partitions: [partition] })) }
    await ask('transaction', transactionalId, (broker) => broker.addPartitionsToTxn(request), noting)
  }

  async function addGroup(groupId: string): Promise<void> {
    const request = { ...producer, groupId }
    await ask('transaction', transactionalId, (broker) => broker.addOffsetsToTxn(request), noting)
  }

  /** What was added to the transaction that is open, each topic once. */
  type Begun = { topics: Set<string>; partitions: Promise<void>; group: Promise<void> }
  let begun: Begun | undefined

  function begin(parts: readonly TopicPartition[], groupId: string): Begun {
    const wasClose = followsClosely
    followsClosely = false
    const partitions = addPartitions(parts)
    // On one connection, which the broker takes in turn.
    const group = wasClose ? partitions.then(() => addGroup(groupId)) : addGroup(groupId)
    return { topics: new Set(parts.map(({ topic }) => topic)), partitions, group }
  }

  async function commitOffsets({ groupId, topic, partition, offset, metadata }: Offsets): Promise<void> {
    const partitions = [{ partition, offset: String(offset), metadata }]
    const request = { ...producer, groupId, topics: [{ topic, partitions }] }
    await ask('group', groupId, (broker) => broker.txnOffsetCommit(request))
  }

  return {
    async fence() {
      const request = { transactionalId, transactionTimeout: timeoutMs }
      const { producerId, producerEpoch } = await ask('transaction', transactionalId, (broker) =>
        broker.initProducerId(request),
      )
      producer = { transactionalId, producerId, producerEpoch }
      sequences.clear()
      begun = undefined
    },
    begin(parts, groupId) {
      if (begun) return
      begun = begin(parts, groupId)
      for (const added of [begun.partitions, begun.group]) added.catch(() => undefined) // The commit is told.
    },
    async commit(batches, offsets) {
      const ends = new Map<string, bigint>()
      const writeAll = async () => {
        for (const batch of batches) for (const [topic, end] of await write(batch)) ends.set(topic, end)
      }
      const parts = [...new Map(batches.flat().map((records) => [records.topic, records])).values()]
      const { topics, partitions, group } = begun ?? begin(parts, offsets.groupId)
      begun = undefined
      const missing = parts.filter(({ topic }) => !topics.has(topic))
      await bothOf(
        partitions.then(() => addPartitions(missing)).then(writeAll),
        group.then(() => commitOffsets(offsets)),
      )
      const end = { ...producer, transactionResult: true }
      await ask('transaction', transactionalId, (broker) => broker.endTxn(end), isPassingAnswer)
      return ends
    },
    async close() {
      isClosed = true
      await connecting?.then(({ cluster }) => farewell(clock, cluster)).catch(() => undefined)
    },
  }
}

/** Rejects as soon as one does; the other one's rejection is nobody's any more. */
async function bothOf(one: Promise<void>, other: Promise<void>): Promise<void> {
  other.catch(() => undefined)
  await Promise.all([one, other])
}

/** A broker has said that it did not do it, and that it may later. */
const isPassingAnswer = (error: unknown): boolean =>
  isProtocolError(error, 'CONCURRENT_TRANSACTIONS') ||
  (error instanceof Error && error.name === 'KafkaJSProtocolError' && 'retriable' in error && error.retriable === true)

const connectionErrors =
  /^KafkaJS(Connection(Closed)?Error|BrokerNotFound|GroupCoordinatorNotFound|NoBrokerAvailableError|LockTimeout)$/

/** Nobody can say that it was done, or it was not; and done twice it is done once. */
const isPassing = (error: unknown): boolean =>
  isPassingAnswer(error) ||
  isFailure(error, 'LOG_UNAVAILABLE') ||
  (error instanceof Error && connectionErrors.test(error.name))
