/**
 * Connections to the brokers for reading: finds who leads a partition, asks again when that has changed or a broker is
 * away, and gives up when it has lasted too long.
 */
import type { Clock } from '../../clock.ts'
import { sleep } from '../../clock.ts'
import { isFailure, PlatformError } from '../../errors.ts'
import {
  answered,
  answerMsMax,
  type BrokerClient,
  type ClusterClient,
  clusterClient,
  consumerReplicaId,
  farewell,
  isolation,
  isProtocolError,
  type KafkaConnection,
  unavailable,
} from './client.ts'

export type TopicPartition = { topic: string; partition: number }

export type Brokers = {
  /** Of the same leader together. Throws LOG_UNAVAILABLE for a partition without one. */
  byLeader(parts: readonly TopicPartition[]): Map<number, TopicPartition[]>
  /** Asks the leader of these topics for something, and waits `waitMs` longer for it than for other answers. */
  ask<Result>(
    nodeId: number,
    of: readonly TopicPartition[],
    request: (broker: BrokerClient) => Promise<Result>,
    waitMs: number,
  ): Promise<Result>
  /** Offset after the last record of every topic, with what is written and not committed. */
  ends(): Promise<Map<string, bigint>>
  /**
   * Runs `run` once, connected. When it fails, waits a moment, connects and learns anew who leads what; the caller goes on
   * as before, and what it had asked for is not to be counted on. Answers whether it succeeded.
   * Once it has failed for 20 s in which one of the topics had no answer, whatever became of others, throws LOG_UNAVAILABLE,
   * or RECORD_DAMAGED for records that were not what was written each time; LOG_GAP at once, for offsets before the first that
   * is kept or after the end.
   */
  trying(run: () => Promise<void>): Promise<boolean>
  close(): Promise<void>
}

const retryMs = 50
/** Brokers that restart are away for seconds; a reader outlasts that without giving its partition up. */
const failingMsMax = 20_000
const latestOffset = -1

/** Connects when it is first used. `parts`: all that will be asked for, one partition of each topic. */
export function openBrokers(parts: readonly TopicPartition[], connection: KafkaConnection, clock: Clock): Brokers {
  let connecting: Promise<ClusterClient> | undefined
  let cluster: ClusterClient | undefined
  /** By topic, from the first time that nothing came of asking for it until its leader answers again. */
  const failingSinceMs = new Map<string, number>()
  let isClosed = false

  async function connect(): Promise<void> {
    if (isClosed) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the reader is closed' })
    connecting ??= (async () => {
      const made = clusterClient(connection)
      cluster = made
      await made.connect()
      await made.addMultipleTargetTopics([...new Set(parts.map(({ topic }) => topic))])
      return made
    })()
    await answered(clock, connecting)
  }

  function connected(): ClusterClient {
    if (!cluster) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'no broker is connected' })
    return cluster
  }

  async function ask<Result>(
    nodeId: number,
    of: readonly TopicPartition[],
    request: (broker: BrokerClient) => Promise<Result>,
    waitMs: number,
  ): Promise<Result> {
    const used = connected()
    try {
      const answer = await answered(clock, used.findBroker({ nodeId }).then(request), answerMsMax + waitMs)
      for (const { topic } of of) failingSinceMs.delete(topic)
      return answer
    } catch (error) {
      if (used === cluster) fails(of) // What was asked of an earlier client says nothing of this one.
      throw error
    }
  }

  function fails(of: readonly TopicPartition[]): void {
    for (const { topic } of of) failingSinceMs.set(topic, failingSinceMs.get(topic) ?? clock.nowMs())
  }

  function byLeader(of: readonly TopicPartition[]): Map<number, TopicPartition[]> {
    const found = new Map<number, TopicPartition[]>()
    for (const part of of) {
      const leader = leaderOf(connected(), part)
      found.set(leader, [...(found.get(leader) ?? []), part])
    }
    return found
  }

  async function mend(error: unknown): Promise<void> {
    if (isProtocolError(error, 'OFFSET_OUT_OF_RANGE'))
      throw new PlatformError(
        'LOG_GAP',
        { problem: 'the log begins after, or ends before, what is asked for' },
        { cause: error },
      )
    if (failingSinceMs.size === 0) fails(parts) // Nobody could be asked for any of them.
    const sinceMs = Math.min(...failingSinceMs.values())
    if (isClosed || clock.nowMs() - sinceMs > failingMsMax) throw unavailable(error)
    // Anew from the beginning, whatever it was: half of a client that has failed may never answer again.
    void farewell(clock, cluster)
    cluster = undefined
    connecting = undefined
    await sleep(clock, retryMs)
  }

  return {
    byLeader,
    ask,
    async ends() {
      const found = new Map<string, bigint>()
      await Promise.all(
        [...byLeader(parts)].map(async ([leader, of]) => {
          const topics = of.map(({ topic, partition }) => ({
            topic,
            partitions: [{ partition, timestamp: latestOffset }],
          }))
          const request = { replicaId: consumerReplicaId, isolationLevel: isolation.uncommitted, topics }
          const { responses } = await ask(leader, of, (broker) => broker.listOffsets(request), 0)
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
        return true
      } catch (error) {
        if (isFailure(error, 'LOG_GAP')) throw error
        await mend(error)
        return false
      }
    },
    async close() {
      isClosed = true
      await farewell(clock, cluster)
    },
  }
}

/** As the client knows it. Throws LOG_UNAVAILABLE for a partition without one. */
export function leaderOf(cluster: ClusterClient, { topic, partition }: TopicPartition): number {
  const leader = cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)?.leader
  if (leader === undefined || leader < 0)
    throw new PlatformError('LOG_UNAVAILABLE', { topic, partition, problem: 'it has no leader now' })
  return leader
}
