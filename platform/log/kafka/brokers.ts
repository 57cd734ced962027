/**
 * Connections to the brokers for reading: finds who leads a partition, asks again when that has changed or a broker is
 * away, and gives up when it has lasted too long.
 */
import type { Clock } from '../../clock.ts'
import { sleep } from '../../clock.ts'
import { isFailure, PlatformError } from '../../errors.ts'
import {
  type BrokerClient,
  type ClusterClient,
  clusterClient,
  consumerReplicaId,
  isolation,
  isProtocolError,
  type KafkaConnection,
  unavailable,
} from './client.ts'

export type TopicPartition = { topic: string; partition: number }

export type Brokers = {
  /** Of the same leader together. Throws LOG_UNAVAILABLE for a partition without one. */
  byLeader(parts: readonly TopicPartition[]): Map<number, TopicPartition[]>
  broker(nodeId: number): Promise<BrokerClient>
  /** Offset after the last record of every topic, with what is written and not committed. */
  ends(): Promise<Map<string, bigint>>
  /**
   * Runs `run` once, connected. When it fails, waits a moment and learns anew who leads what; the caller goes on as before.
   * Throws LOG_UNAVAILABLE once it has failed for 20 s without a success between, LOG_GAP for offsets that are not kept.
   */
  trying(run: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

const retryMs = 50
/** Brokers that restart are away for seconds; a reader outlasts that without giving its partition up. */
const failingMsMax = 20_000
const latestOffset = -1

/** Connects when it is first used. `parts`: all that will be asked for, one partition of each topic. */
export function openBrokers(parts: readonly TopicPartition[], connection: KafkaConnection, clock: Clock): Brokers {
  const cluster: ClusterClient = clusterClient(connection)
  let connecting: Promise<void> | undefined
  let failingSinceMs: number | undefined
  let isClosed = false

  async function connect(): Promise<void> {
    connecting ??= (async () => {
      await cluster.connect()
      await cluster.addMultipleTargetTopics([...new Set(parts.map(({ topic }) => topic))])
    })()
    await connecting
  }

  function byLeader(of: readonly TopicPartition[]): Map<number, TopicPartition[]> {
    const found = new Map<number, TopicPartition[]>()
    for (const part of of) {
      const leader = cluster
        .findTopicPartitionMetadata(part.topic)
        .find(({ partitionId }) => partitionId === part.partition)?.leader
      if (leader === undefined || leader < 0)
        throw new PlatformError('LOG_UNAVAILABLE', { ...part, problem: 'it has no leader now' })
      found.set(leader, [...(found.get(leader) ?? []), part])
    }
    return found
  }

  async function mend(error: unknown): Promise<void> {
    if (isProtocolError(error, 'OFFSET_OUT_OF_RANGE'))
      throw new PlatformError('LOG_GAP', { problem: 'the log no longer keeps what is asked for' }, { cause: error })
    failingSinceMs ??= clock.nowMs()
    if (isClosed || clock.nowMs() - failingSinceMs > failingMsMax) throw unavailable(error)
    connecting = undefined
    await sleep(clock, retryMs)
    await cluster.refreshMetadata().catch(() => undefined)
  }

  return {
    byLeader,
    broker: (nodeId) => cluster.findBroker({ nodeId }),
    async ends() {
      const found = new Map<string, bigint>()
      await Promise.all(
        [...byLeader(parts)].map(async ([leader, of]) => {
          const { responses } = await (await cluster.findBroker({ nodeId: leader })).listOffsets({
            replicaId: consumerReplicaId,
            isolationLevel: isolation.uncommitted,
            topics: of.map(({ topic, partition }) => ({ topic, partitions: [{ partition, timestamp: latestOffset }] })),
          })
          for (const { topic, partitions } of responses)
            for (const { offset } of partitions) found.set(topic, BigInt(offset))
        }),
      )
      return found
    },
    async trying(run) {
      try {
        await connect()
        await run()
        failingSinceMs = undefined
      } catch (error) {
        if (isFailure(error, 'LOG_GAP')) throw error
        await mend(error)
      }
    },
    async close() {
      isClosed = true
      await cluster.disconnect().catch(() => undefined)
    },
  }
}
