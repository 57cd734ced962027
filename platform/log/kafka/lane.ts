/**
 * One reader of some topics at one partition number: reads on from where it stands, waits at the broker for more, and
 * keeps what came early. A lane serves one reader at a time; `lanes.ts` hands them out.
 */
import type { Clock } from '../../clock.ts'
import { type Brokers, openBrokers, type TopicPartition } from './brokers.ts'
import { consumerReplicaId, isolation, type KafkaConnection } from './client.ts'
import { fetch } from './exchange.ts'
import type { FetchedPartition, FetchedRecord } from './fetched.ts'

export type Lane = {
  /** Records read and not yet taken, by topic, in order. */
  buffered(topic: string): FetchedRecord[]
  /** Takes the first `count` of them out, which makes room for more. */
  take(topic: string, count: number): FetchedRecord[]
  /** Begins anew at these offsets. */
  seek(offsets: Readonly<Record<string, bigint>>): void
  /**
   * Reads until `isEnough`, at most for `waitMs`. With 0: until it is, or until everything is read that stood in the
   * log, committed and acknowledged, when it was called. Answers whether that came about: not when the time was over, and
   * with 0 not when brokers have said that what comes next is undecided. `lacking`, asked after `isEnough`: topics of which more
   * is needed, however much of them is in memory already. Throws LOG_UNAVAILABLE, LOG_GAP for an offset that is no longer kept,
   * or not written yet.
   */
  fill(
    isEnough: () => boolean,
    waitMs: number,
    options?: { signal?: AbortSignal | undefined; lacking?: () => ReadonlySet<string> },
  ): Promise<boolean>
  /** Offset after the last record of every topic, with what is written and not committed. Throws LOG_UNAVAILABLE. */
  ends(): Promise<Map<string, bigint>>
  close(): Promise<void>
}

/** More would be decoded long before it is taken, and kept alive meanwhile: a rebuild is a twentieth faster than with 4 MiB. */
const bytesPerFetchMax = 1024 * 1024
/** Of a topic that its reader does not lack; what it does lack is bounded by the largest commit. */
const bytesBufferedMax = 8 * 1024 * 1024
/** Longest that a request stands at the broker; closing waits for it. */
const brokerWaitMsMax = 1_000
/** A transaction whose owner died holds back what comes after it until the next owner fences it: nobody waits for that. */
const stableWaitMsMax = 1_500
const brokerWaitMsForStable = 50

export function openLane(parts: readonly TopicPartition[], connection: KafkaConnection, clock: Clock): Lane {
  const brokers: Brokers = openBrokers(parts, connection, clock)
  const next = new Map<string, bigint>(parts.map(({ topic }) => [topic, 0n]))
  const buffers = new Map<string, FetchedRecord[]>(parts.map(({ topic }) => [topic, []]))
  const buffer = (topic: string): FetchedRecord[] => buffers.get(topic) ?? []
  const bytes = new Map<string, number>()
  /** By broker; what it answers goes into the buffers unless the lane was moved, or connected anew, meanwhile. */
  const underWay = new Map<number, Promise<void>>()
  /** Topics of which a broker has said last that there is nothing more to read now, since a fill began. */
  const drained = new Set<string>()
  const nothing: ReadonlySet<string> = new Set()
  /** Topics of which who fills needs more before anything can be taken. */
  let lacks = nothing
  let generation = 0
  /** What ends a wait under way. */
  const enders = new Set<() => void>()
  let isClosed = false

  const isFull = (topic: string): boolean => !lacks.has(topic) && (bytes.get(topic) ?? 0) >= bytesBufferedMax

  /** One request to every broker that has something to say and is not asked already. */
  function ask(waitMs: number): void {
    const wanted = parts.filter(({ topic }) => !isFull(topic))
    for (const [leader, of] of brokers.byLeader(wanted)) {
      if (underWay.has(leader)) continue
      // One that has failed stays: whoever waits next is told, also when nobody does at this moment.
      const asked = fetchFrom(leader, of, waitMs).then(() => {
        if (underWay.get(leader) === asked) underWay.delete(leader)
      })
      underWay.set(leader, asked)
      asked.catch(() => undefined)
    }
  }

  async function fetchFrom(leader: number, of: readonly TopicPartition[], waitMs: number): Promise<void> {
    const begun = generation
    // What is lacking comes first, then what has least in memory; what does not fit beside it has its turn after that.
    const lackingFirst = (a: string, b: string) => Number(lacks.has(b)) - Number(lacks.has(a))
    const leastFirst = (a: string, b: string) => (bytes.get(a) ?? 0) - (bytes.get(b) ?? 0)
    const parts = of.toSorted((a, b) => lackingFirst(a.topic, b.topic) || leastFirst(a.topic, b.topic))
    const from = new Map(parts.map(({ topic }) => [topic, next.get(topic) ?? 0n]))
    const request = {
      replicaId: consumerReplicaId,
      isolationLevel: isolation.committed,
      maxWaitTime: Math.ceil(waitMs),
      minBytes: 1,
      maxBytes: bytesPerFetchMax,
      topics: parts.map(({ topic, partition }) => ({
        topic,
        partitions: [{ partition, fetchOffset: String(from.get(topic)), maxBytes: bytesPerFetchMax }],
      })),
    }
    const { responses } = await brokers.ask(leader, of, (broker) => fetch(broker, request), waitMs)
    if (begun !== generation) return
    for (const { topicName, partitions } of responses)
      for (const fetched of partitions) keep(topicName, from.get(topicName) ?? 0n, fetched)
  }

  /** After a failure nothing of what was asked for is waited for, and what still comes of it is dropped. */
  async function trying(run: () => Promise<void>): Promise<void> {
    if (await brokers.trying(run)) return
    generation += 1
    underWay.clear()
  }

  function keep(topic: string, from: bigint, { records, next: after, lastStableOffset }: FetchedPartition): void {
    if (after === from) {
      // What did not fit beside another topic is left out, too.
      if (lastStableOffset <= from) drained.add(topic)
      return
    }
    drained.delete(topic)
    const kept = buffer(topic)
    for (const record of records) kept.push(record)
    bytes.set(topic, (bytes.get(topic) ?? 0) + sizeOf(records))
    if (after > (next.get(topic) ?? 0n)) next.set(topic, after)
  }

  return {
    buffered(topic) {
      return buffer(topic)
    },
    take(topic, count) {
      const taken = buffer(topic).splice(0, count)
      bytes.set(topic, (bytes.get(topic) ?? 0) - sizeOf(taken))
      return taken
    },
    seek(offsets) {
      generation += 1
      underWay.clear()
      for (const { topic } of parts) {
        next.set(topic, offsets[topic] ?? 0n)
        buffers.set(topic, [])
        bytes.set(topic, 0)
      }
    },
    async fill(isEnough, waitMs, { signal, lacking = () => nothing } = {}) {
      const isOver = () => isEnough() || isClosed || signal?.aborted === true
      let untilMs = clock.nowMs() + waitMs
      drained.clear()
      let target: Map<string, bigint> | undefined
      while (!isOver()) {
        lacks = lacking()
        if (waitMs === 0 && !target) {
          await trying(async () => {
            target = await brokers.ends()
            untilMs = clock.nowMs() + stableWaitMsMax
          })
          continue
        }
        const unread = parts.filter(({ topic }) => target && (next.get(topic) ?? 0n) < (target.get(topic) ?? 0n))
        if (target && unread.length === 0) return true
        const leftMs = untilMs - clock.nowMs()
        // A broker that is slow or away has said nothing: who has to know everything goes on until it answers or is given up.
        // What is full is asked for no more: nobody takes it while something before it is missing.
        const canSay = !target || unread.every(({ topic }) => drained.has(topic) || isFull(topic))
        if (leftMs <= 0 && canSay) return false
        const askMs = waitMs === 0 ? brokerWaitMsForStable : Math.min(leftMs, brokerWaitMsMax)
        await trying(async () => {
          ask(askMs)
          await firstOf([...underWay.values()], Math.max(leftMs, askMs), signal)
        })
      }
      return isEnough()
    },
    async ends() {
      let found: Map<string, bigint> | undefined
      while (!found)
        await trying(async () => {
          found = await brokers.ends()
        })
      return found
    },
    async close() {
      isClosed = true
      generation += 1
      for (const end of enders) end()
      await brokers.close()
    },
  }

  /** Until one of them is done, the time is over, or the signal comes. Rejects with the first failure. */
  async function firstOf(waiting: readonly Promise<void>[], leftMs: number, signal?: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>()
    const end = () => over.resolve()
    const cancel = clock.after(leftMs, end)
    signal?.addEventListener('abort', end, { once: true })
    enders.add(end)
    try {
      await Promise.race([...waiting, over.promise])
    } finally {
      cancel()
      signal?.removeEventListener('abort', end)
      enders.delete(end)
    }
  }
}

const sizeOf = (records: readonly FetchedRecord[]): number =>
  records.reduce((sum, { value }) => sum + value.byteLength, 0)
