/**
 * One reader of some topics at one partition number: reads on from where it stands, waits at the broker for more, and
 * keeps what came early. A lane serves one reader at a time; `lanes.ts` hands them out.
 */
import type { Clock } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import {
  type ClusterClient,
  clusterClient,
  consumerReplicaId,
  type FetchedPartition,
  isolation,
  isProtocolError,
  type KafkaConnection,
  unavailable,
} from './client.ts'

export type TopicPartition = { topic: string; partition: number }
export type LaneRecord = { offset: bigint; key: string; value: Buffer; headers: Record<string, Buffer | undefined> }

export type Lane = {
  /** Records read and not yet taken, by topic, in order. */
  buffered(topic: string): LaneRecord[]
  /** Begins anew at these offsets. */
  seek(offsets: Readonly<Record<string, bigint>>): void
  /**
   * Reads until `isEnough`, at most for `waitMs`. With 0: until it is, or until everything is read that stood in the
   * log, committed and acknowledged, when it was called. Throws LOG_UNAVAILABLE, LOG_GAP for an offset that is no longer kept.
   */
  fill(isEnough: () => boolean, waitMs: number, signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

const bytesPerFetchMax = 4 * 1024 * 1024
const bytesBufferedMax = 8 * 1024 * 1024
/** Longest that a request stands at the broker: less than kafkajs waits for an answer. */
const brokerWaitMsMax = 5_000
/** A transaction whose owner died holds back what comes after it until the next owner fences it: nobody waits for that. */
const stableWaitMsMax = 1_500
const brokerWaitMsForStable = 50
const retryMs = 50
/** Brokers that restart are away for seconds; a reader outlasts that without giving its partition up. */
const failingMsMax = 20_000
const latestOffset = -1

export function openLane(parts: readonly TopicPartition[], connection: KafkaConnection, clock: Clock): Lane {
  const cluster: ClusterClient = clusterClient(connection)
  const next = new Map<string, bigint>(parts.map(({ topic }) => [topic, 0n]))
  const buffers = new Map<string, LaneRecord[]>(parts.map(({ topic }) => [topic, []]))
  const buffer = (topic: string): LaneRecord[] => buffers.get(topic) ?? []
  const bytes = new Map<string, number>()
  /** By broker; what it answers goes into the buffers unless the lane was moved meanwhile. */
  const underWay = new Map<number, Promise<void>>()
  let generation = 0
  let connecting: Promise<void> | undefined
  let isClosed = false
  let failingSinceMs: number | undefined

  async function connect(): Promise<void> {
    connecting ??= (async () => {
      await cluster.connect()
      await cluster.addMultipleTargetTopics([...new Set(parts.map(({ topic }) => topic))])
    })()
    try {
      await connecting
    } catch (error) {
      connecting = undefined
      throw error
    }
  }

  const leaderOf = ({ topic, partition }: TopicPartition): number => {
    const found = cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)
    if (found === undefined || found.leader < 0)
      throw new PlatformError('LOG_UNAVAILABLE', { topic, partition, problem: 'it has no leader now' })
    return found.leader
  }

  function byLeader(of: readonly TopicPartition[]): Map<number, TopicPartition[]> {
    const found = new Map<number, TopicPartition[]>()
    for (const part of of) {
      const leader = leaderOf(part)
      found.set(leader, [...(found.get(leader) ?? []), part])
    }
    return found
  }

  /** One request to every broker that has something to say and is not asked already. */
  function ask(waitMs: number): void {
    const wanted = parts.filter(({ topic }) => (bytes.get(topic) ?? 0) < bytesBufferedMax)
    for (const [leader, of] of byLeader(wanted)) {
      if (underWay.has(leader)) continue
      const asked = fetchFrom(leader, of, waitMs).finally(() => underWay.delete(leader))
      underWay.set(leader, asked)
      asked.catch(() => undefined) // Whoever waits for it is told.
    }
  }

  async function fetchFrom(leader: number, of: readonly TopicPartition[], waitMs: number): Promise<void> {
    const begun = generation
    const from = new Map(of.map(({ topic }) => [topic, next.get(topic) ?? 0n]))
    const broker = await cluster.findBroker({ nodeId: leader })
    const { responses } = await broker.fetch({
      replicaId: consumerReplicaId,
      isolationLevel: isolation.committed,
      maxWaitTime: Math.ceil(waitMs),
      minBytes: 1,
      maxBytes: bytesPerFetchMax,
      topics: of.map(({ topic, partition }) => ({
        topic,
        partitions: [{ partition, fetchOffset: String(from.get(topic)), maxBytes: bytesPerFetchMax }],
      })),
    })
    if (begun !== generation) return
    for (const { topicName, partitions } of responses)
      for (const fetched of partitions) take(topicName, from.get(topicName) ?? 0n, fetched)
  }

  function take(topic: string, from: bigint, fetched: FetchedPartition): void {
    const last = fetched.messages.at(-1)
    if (!last) return
    const kept = buffer(topic)
    let size = bytes.get(topic) ?? 0
    for (const record of committedOf(fetched)) {
      const offset = BigInt(record.offset)
      if (offset < from || record.value === null) continue // A batch is answered whole, also from its middle.
      kept.push({ offset, key: record.key?.toString('utf8') ?? '', value: record.value, headers: record.headers })
      size += record.value.byteLength
    }
    bytes.set(topic, size)
    const after = BigInt(last.offset) + 1n
    if (after > (next.get(topic) ?? 0n)) next.set(topic, after)
  }

  /** Where every topic ends now, with what is written but not yet committed. */
  async function ends(): Promise<Map<string, bigint>> {
    const found = new Map<string, bigint>()
    await Promise.all(
      [...byLeader(parts)].map(async ([leader, of]) => {
        const broker = await cluster.findBroker({ nodeId: leader })
        const { responses } = await broker.listOffsets({
          replicaId: consumerReplicaId,
          isolationLevel: isolation.uncommitted,
          topics: of.map(({ topic, partition }) => ({ topic, partitions: [{ partition, timestamp: latestOffset }] })),
        })
        for (const { topic, partitions } of responses)
          for (const { offset } of partitions) found.set(topic, BigInt(offset))
      }),
    )
    return found
  }

  async function mend(error: unknown): Promise<void> {
    if (isProtocolError(error, 'OFFSET_OUT_OF_RANGE'))
      throw new PlatformError('LOG_GAP', { problem: 'the log no longer keeps what is asked for' }, { cause: error })
    failingSinceMs ??= clock.nowMs()
    if (isClosed || clock.nowMs() - failingSinceMs > failingMsMax) throw unavailable(error)
    connecting = undefined
    await new Promise<void>((resolve) => void clock.after(retryMs, resolve))
    await cluster.refreshMetadata().catch(() => undefined)
  }

  async function trying(run: () => Promise<void>): Promise<void> {
    try {
      await connect()
      await run()
      failingSinceMs = undefined
    } catch (error) {
      await mend(error)
    }
  }

  return {
    buffered(topic) {
      return buffer(topic)
    },
    seek(offsets) {
      generation += 1
      for (const { topic } of parts) {
        next.set(topic, offsets[topic] ?? 0n)
        buffers.set(topic, [])
        bytes.set(topic, 0)
      }
    },
    async fill(isEnough, waitMs, signal) {
      for (const { topic } of parts)
        bytes.set(topic, buffer(topic).reduce((sum, { value }) => sum + value.byteLength, 0))
      const isOver = () => isEnough() || isClosed || signal?.aborted === true
      let untilMs = clock.nowMs() + waitMs
      let target: Map<string, bigint> | undefined
      while (!isOver()) {
        if (waitMs === 0 && !target) {
          await trying(async () => {
            target = await ends()
            untilMs = clock.nowMs() + stableWaitMsMax
          })
          continue
        }
        const isRead = target && parts.every(({ topic }) => (next.get(topic) ?? 0n) >= (target?.get(topic) ?? 0n))
        const leftMs = untilMs - clock.nowMs()
        if (isRead || leftMs <= 0) return
        await trying(async () => {
          ask(Math.min(leftMs, waitMs === 0 ? brokerWaitMsForStable : brokerWaitMsMax))
          await firstOf([...underWay.values()], leftMs, signal)
        })
      }
    },
    async close() {
      isClosed = true
      generation += 1
      await cluster.disconnect().catch(() => undefined)
    },
  }

  /** Until one of them is done, the time is over, or the signal comes. Rejects with the first failure. */
  function firstOf(waiting: readonly Promise<void>[], leftMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(leftMs, end)
      signal?.addEventListener('abort', end, { once: true })
      function end() {
        cancel()
        signal?.removeEventListener('abort', end)
        resolve()
      }
      for (const one of waiting)
        one.then(end, (error: unknown) => {
          end()
          reject(error)
        })
    })
  }
}

const abortMarkerType = 0

/**
 * Records of committed transactions, without the markers between them. kafkajs' own filter lets aborted ones through when
 * two producers interleave and the read begins in the middle, and takes a key of four zero bytes for a marker.
 */
function* committedOf({ messages, abortedTransactions }: FetchedPartition) {
  const aborted = [...(abortedTransactions ?? [])].sort((a, b) => Number(BigInt(a.firstOffset) - BigInt(b.firstOffset)))
  const open = new Set<string>()
  for (const message of messages) {
    while (aborted[0] && BigInt(aborted[0].firstOffset) <= BigInt(message.offset)) {
      open.add(aborted[0].producerId)
      aborted.shift()
    }
    const { producerId, inTransaction } = message.batchContext
    if (message.isControlRecord) {
      // The key of a marker: version, then type, two bytes each.
      if (message.key && message.key.readInt16BE(2) === abortMarkerType) open.delete(producerId)
    } else if (!(inTransaction && open.has(producerId))) yield message
  }
}
