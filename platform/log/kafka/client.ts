/**
 * kafkajs as this log uses it. Appending, admin and group membership go by its public interface; reading and transactions
 * go by its cluster and broker classes, because its consumer cannot read partitions that are named to it, and its producer
 * takes three times the requests that a transaction needs. Both are of the pinned
 * version; `client.test.ts` fails when a new one no longer has them.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { Kafka, type KafkaConfig, logLevel, type ProducerConfig, type SASLOptions } from 'kafkajs'
import { type Clock, within } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'

export type KafkaConnection = {
  /** `host:port`. */
  brokers: readonly string[]
  /** PEM of the authority that signed the brokers' certificates; `true` for those the system trusts. */
  tls?: { ca: string | true }
  sasl?: { username: string; password: string }
  /** How a connection is opened; kafkajs' own way unless a test comes between. */
  socketFactory?: (given: { host: string; port: number; ssl?: object; onConnect: () => void }) => Socket
  /** Is told what kafkajs warns of, and of errors that it does not mend by itself. */
  onNotice?: (message: string, facts: Readonly<Record<string, unknown>>) => void
}

/** A record as it is sent; its headers are text. */
export type OutgoingRecord = { key: string; value: Buffer; headers: Readonly<Record<string, string>> }

/** Who writes in a transaction. */
export type TransactionalProducer = { transactionalId: string; producerId: string; producerEpoch: number }

/** A request of one version of the protocol, and how its answer is read: `decode` its bytes, `parse` what they say of failures. */
export type Exchange = {
  request: { apiVersion: number; encode(): Promise<{ buf: Buffer; buffer: Buffer }> }
  response: { decode(answer: Buffer): Promise<object>; parse(decoded: object): Promise<object> }
  requestTimeout?: number | null
}

export type BrokerClient = {
  /** Makes requests of the newest version that both sides know. */
  lookupRequest(apiKey: number, versions: object): (request: object) => Exchange
  connectionPool: { send(exchange: Exchange): Promise<object> }
  disconnect(): Promise<void>
  initProducerId(request: { transactionalId: string; transactionTimeout: number }): Promise<{
    producerId: string
    producerEpoch: number
  }>
  addPartitionsToTxn(
    request: TransactionalProducer & { topics: { topic: string; partitions: number[] }[] },
  ): Promise<unknown>
  /** Does nothing when it is connected; who asks meanwhile waits for the same connection. */
  connect(): Promise<void>
  addOffsetsToTxn(request: TransactionalProducer & { groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: TransactionalProducer & {
      groupId: string
      topics: { topic: string; partitions: { partition: number; offset: string; metadata: string }[] }[]
    },
  ): Promise<unknown>
  endTxn(request: TransactionalProducer & { transactionResult: boolean }): Promise<unknown>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  listOffsets(request: {
    replicaId: number
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[]
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>
}

/** `revoke`: see `revocableConnection`. */
export type Client = { disconnect(): Promise<unknown>; revoke(): void }

export type ClusterClient = Client & {
  connect(): Promise<void>
  /** By a request's number what the broker knows of it that was connected first; null until then. */
  brokerPool: { versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>> | null }
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findBroker(of: { nodeId: number | string }): Promise<BrokerClient>
  findGroupCoordinator(of: { groupId: string; coordinatorType: number }): Promise<BrokerClient>
}

/** kafkajs' numbers for what a broker coordinates. */
export const coordinatorOf = { group: 0, transaction: 1 } as const

/** kafkajs' numbers for what a read may see. */
export const isolation = { uncommitted: 0, committed: 1 } as const
export const consumerReplicaId = -1

/**
 * Transactions follow one another faster than a broker writes their end markers, and until then it answers
 * CONCURRENT_TRANSACTIONS; kafkajs waits 300 ms before it asks again, which makes 5 transactions a second of 200.
 */
const retry = { initialRetryTime: 4, factor: 0.2, multiplier: 1.4, maxRetryTime: 250, retries: 60 }
const connectionTimeoutMs = 3_000
const requestTimeoutMs = 8_000

const fromHere = createRequire(import.meta.url)
// What one part of kafkajs takes no setting for: it reads its own defaults.
Object.assign(fromHere('kafkajs/src/retry/defaults') as object, retry)

type RequestQueue = { pending: readonly unknown[]; scheduleCheckPendingRequests(): void }
const { prototype } = fromHere('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }
const { scheduleCheckPendingRequests } = prototype
/**
 * After every answer kafkajs sets a timer to look for requests that wait, also where none does, and that timer sets the next
 * one, a millisecond later: every connection would wake the process for ever (kafkajs issue 1704).
 */
prototype.scheduleCheckPendingRequests = function () {
  if (this.pending.length > 0) scheduleCheckPendingRequests.call(this)
}
const Cluster = fromHere('kafkajs/src/cluster') as new (options: object) => Omit<ClusterClient, 'revoke'>
const newSocketFactory = fromHere('kafkajs/src/network/socketFactory') as () => KafkaConfig['socketFactory']

/** What kafkajs reports at every retry, though it mends it. */
const mended =
  /CONCURRENT_TRANSACTIONS|concurrent transaction|Response Fetch|Response Add(Partitions|Offsets)ToTxn|Restarting/i

const noticesOf =
  ({ onNotice }: KafkaConnection) =>
  () =>
  ({ log: { message, ...facts } }: { log: { message: string; [fact: string]: unknown } }) => {
    const error = typeof facts.error === 'string' ? facts.error : ''
    if (!mended.test(message) && !mended.test(error)) onNotice?.(message, facts)
  }

const configOf = (connection: KafkaConnection) => ({
  clientId: 'pf3',
  brokers: [...connection.brokers],
  connectionTimeout: connectionTimeoutMs,
  authenticationTimeout: connectionTimeoutMs,
  requestTimeout: requestTimeoutMs,
  retry,
  logLevel: logLevel.WARN,
  logCreator: noticesOf(connection),
  ...(connection.tls
    ? { ssl: { minVersion: 'TLSv1.3' as const, ...(connection.tls.ca === true ? {} : { ca: connection.tls.ca }) } }
    : {}),
  ...(connection.sasl ? { sasl: { mechanism: 'scram-sha-512', ...connection.sasl } as SASLOptions } : {}),
  ...(connection.socketFactory ? { socketFactory: connection.socketFactory as KafkaConfig['socketFactory'] } : {}),
})

/** A client of its own for each purpose: those of one share what they believe to be committed. */
export const kafkaClient = (connection: KafkaConnection): Kafka => new Kafka(configOf(connection) as KafkaConfig)

/** What every producer of this log has: one request at a time, to the partition that each message names. */
export const producerSettings: ProducerConfig = {
  maxInFlightRequests: 1,
  allowAutoTopicCreation: false,
  createPartitioner:
    () =>
    ({ message }) =>
      message.partition ?? 0,
}

/**
 * The same connection until it is revoked: then nothing more is written by what was opened over it, whatever kafkajs, which
 * connects anew and sends again after it was told to disconnect, still has in hand.
 */
export function revocableConnection(connection: KafkaConnection): { revocable: KafkaConnection; revoke: () => void } {
  const open = connection.socketFactory ?? (newSocketFactory() as NonNullable<KafkaConnection['socketFactory']>)
  const sockets = new Set<Socket>()
  let isRevoked = false
  return {
    revocable: {
      ...connection,
      socketFactory(given) {
        if (isRevoked) throw new Error('what this connection was for is given up')
        const socket = open(given)
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return socket
      },
      onNotice(message, facts) {
        if (!isRevoked) connection.onNotice?.(message, facts)
      },
    },
    revoke() {
      isRevoked = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Connections to brokers, for reading and for transactions, with nobody's group behind them. */
export function clusterClient(connection: KafkaConnection): ClusterClient {
  const { revocable, revoke } = revocableConnection(connection)
  const { logLevel: _, logCreator: __, ...config } = configOf(revocable)
  const cluster = new Cluster({
    ...config,
    logger: kafkaClient(revocable).logger(),
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    maxInFlightRequests: null,
    isolationLevel: isolation.committed,
  })
  return Object.assign(cluster, { revoke })
}

/** More than kafkajs itself gives a request, and what it does around it. */
export const answerMsMax = requestTimeoutMs + 2_000
const farewellMsMax = 2_000

/**
 * What `asked` comes to. A connection that kafkajs takes down while a request is on it is watched by nobody: neither an
 * answer nor its own time limit ends such a request, and what waits for it waits for ever. So nothing of kafkajs is waited
 * for without an end, and a client that was late is not used again. Rejects after `msMax`.
 */
export const answered = <Result>(clock: Clock, asked: Promise<Result>, msMax = answerMsMax): Promise<Result> =>
  within(clock, asked, msMax, () => new Error(`there was no answer within ${msMax} ms`))

/**
 * Ends a client of kafkajs, which waits for all it has asked; not for longer than 2 s, and never rejects. One that is still
 * connecting would go on, and its connection be closed by nobody: where it can be, its connection is revoked.
 */
export async function farewell(
  clock: Clock,
  client: (Pick<Client, 'disconnect'> & Partial<Client>) | undefined,
): Promise<void> {
  if (!client) return
  await answered(clock, client.disconnect(), farewellMsMax).catch(() => undefined)
  client.revoke?.()
}

/** The names of Kafka's own errors in `error` and in what caused it. */
export function protocolErrors(error: unknown): string[] {
  const found: string[] = []
  for (let at = error, depth = 0; at instanceof Error && depth < 10; depth++) {
    if ('type' in at && typeof at.type === 'string') found.push(at.type)
    at = at.cause ?? ('originalError' in at ? at.originalError : undefined)
  }
  return found
}

export const isProtocolError = (error: unknown, ...types: readonly string[]): boolean =>
  protocolErrors(error).some((type) => types.includes(type))

/** For everything that may work again later. */
export function unavailable(error: unknown, facts: Record<string, string | number> = {}): PlatformError {
  if (error instanceof PlatformError) return error
  const cause = error instanceof Error ? error.message : String(error)
  return new PlatformError('LOG_UNAVAILABLE', { ...facts, cause }, { cause: error })
}
