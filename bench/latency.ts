/** Submission to end of one job, idle and at half of what it takes, beside two transactional hops that do nothing else. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch, Kafka } from 'kafkajs'
import { quantile } from '../bin/demo/fairness.ts'
import { jobClient } from '../bin/demo/job-client.ts'
import { batcher } from '../platform/batcher.ts'
import { producerSettings } from '../platform/log/kafka/client.ts'
import { makeTopics, type OnKafka, onKafka } from './on-kafka.ts'
import { bullMq, redisAt } from './peers.ts'
import type { Bench, Row } from './report.ts'
import { jobBody, jobsOneByOne, jobsOnTime, jobsTogether, oneByOne, onTime } from './work.ts'

const samples = 150
const loadMs = 8_000
/** Compiled and pooled by then. */
const warmUpJobs = 6_000
const warmUpHops = 1_000
const capacityJobs = 1_000
/** After a load, until servers have written and cleaned up what they put off: idle is idle. */
const restMs = 3_000
const connections = 64
const appendsAtOnceMax = 1_000

export const latency: Bench = {
  about:
    'From the submission of one job over HTTP to the answer that it has ended: an append, one transaction, as its provider is a local engine (two for any other), the views. Beside it the same way through a queue, and two bare hops: append, read, transaction, read, transaction, read.',
  limits:
    'A single process with all roles, so no wake-up crosses the network. The bare hops have no HTTP, no database and no decision; where several records have come, one transaction takes them all. At half load, which is half of what PF-3 takes, and as many a second on every side, the load comes from the same machine.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * connections }, async (on) => {
      const raw: Record<string, number[]> = { ours: [], hops: [], bull: [], half: [], halfHops: [], halfBull: [] }
      const at = (share: number, of: readonly number[]) =>
        quantile(
          of.toSorted((a, b) => a - b),
          share,
        )
      const rows = {
        half50: row('idle, half of them within', 'two transactional hops, kafkajs', '≤ 35 ms, ≤ 1.5×'),
        half99: row('idle, 99 of 100 within', 'two transactional hops, kafkajs'),
        bull50: row('idle, half of them within', 'BullMQ, add to finished', undefined),
        load50: row('at half load, half of them within', 'two transactional hops, kafkajs', '≤ 1.5×'),
        load99: row('at half load, 99 of 100 within', 'two transactional hops, kafkajs', '≤ 150 ms'),
        loadBull: row('at half load, half of them within', 'BullMQ, add to finished', undefined),
      }
      const peers = await openPeers(on)
      const all = jobClient(on.client)
      try {
        await jobsTogether(on.client, on.token, 'warm-up', warmUpJobs, connections)
        await oneByOne(Array(warmUpHops).keys(), () => peers.hop())
        const capacity = await capacityOf(on)
        for (let round = 0; round < rounds; round++) {
          await sleep(restMs)
          const own = await jobsOneByOne(all, on.token, `idle-${round}`, samples)
          const hops = await oneByOne(Array(samples).keys(), () => peers.hop())
          const bull = await oneByOne(Array(samples).keys(), (index) => peers.bull(`${round}-${index}`))
          const perS = capacity / 2
          const due = [...Array(Math.round((perS * loadMs) / 1_000)).keys()]
          const half = await jobsOnTime(on.client, on.token, `half-${round}`, { perS, forMs: loadMs })
          const halfHops = await onTime(due, perS, () => peers.hop())
          const halfBull = await onTime(due, perS, (index) => peers.bull(`half-${round}-${index}`))
          push(rows.half50, at(0.5, own), at(0.5, hops))
          push(rows.half99, at(0.99, own), at(0.99, hops))
          push(rows.bull50, at(0.5, own), at(0.5, bull))
          push(rows.load50, at(0.5, half), at(0.5, halfHops))
          push(rows.load99, at(0.99, half), at(0.99, halfHops))
          push(rows.loadBull, at(0.5, half), at(0.5, halfBull))
          for (const [name, values] of Object.entries({ ours: own, hops, bull, half, halfHops, halfBull }))
            raw[name]?.push(...values)
        }
        return {
          rows: Object.values(rows),
          raw,
          setting: `${on.setting}; half load is ${Math.round(capacity / 2)} jobs/s`,
        }
      } finally {
        await peers.close()
      }
    }),
}

const row = (what: string, peer?: string, aim?: string): Row => ({
  what,
  unit: 'ms',
  ours: [],
  ...(peer !== undefined && { beside: { name: peer, rounds: [] } }),
  ...(aim !== undefined && { aim }),
})

function push({ ours, beside }: Row, own: number, other?: number): void {
  ours.push(own)
  if (other !== undefined) beside?.rounds.push(other)
}

async function capacityOf({ client, token }: OnKafka): Promise<number> {
  return (capacityJobs * 1_000) / (await jobsTogether(client, token, 'capacity', capacityJobs, connections))
}

async function openPeers({ kafka, stack }: OnKafka) {
  const hops = await openHops(kafka)
  const connection = redisAt(stack.environment.PF3_REDIS_URL)
  const { Queue, QueueEvents, Worker } = await bullMq()
  const queue = new Queue('latency', { connection })
  const events = new QueueEvents('latency', { connection })
  const worker = new Worker('latency', async () => undefined, { connection })
  await events.waitUntilReady()
  return {
    hop: hops.send,
    async bull(id: string) {
      const job = await queue.add('classify', jobBody(0), { jobId: `latency-${id}` })
      await job.waitUntilFinished(events)
    },
    async close() {
      await worker.close()
      await Promise.all([events.close(), queue.close(), hops.close()])
    },
  }
}

/** a → (transaction) → b → (transaction) → c; read committed. One transaction takes what has come. */
async function openHops(kafka: Kafka) {
  await makeTopics(kafka, ['hop-a', 'hop-b', 'hop-c'], 1)
  const first = kafka.producer({ idempotent: true, ...producerSettings })
  await first.connect()
  const underWay = new Map<string, () => void>()
  let sent = 0
  const closing: (() => Promise<void>)[] = [() => first.disconnect()]

  async function reader(topic: string, take: (batch: Batch) => Promise<void>): Promise<void> {
    const consumer = kafka.consumer({ groupId: `bench-${topic}`, maxWaitTimeInMs: 1_000, heartbeatInterval: 1_000 })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const joined = new Promise<void>((resolve) => void consumer.on('consumer.group_join', () => resolve()))
    await consumer.run({ autoCommit: false, eachBatch: ({ batch }) => take(batch) })
    closing.push(() => consumer.disconnect())
    await joined
  }

  async function hop(from: string, to: string): Promise<void> {
    const producer = kafka.producer({ transactionalId: `bench-${from}`, ...producerSettings })
    await producer.connect()
    closing.push(() => producer.disconnect())
    await reader(from, async (batch) => {
      const transaction = await producer.transaction()
      const same = batch.messages.map(({ key, value }) => ({ key, value, partition: 0 }))
      await transaction.send({ topic: to, acks: -1, messages: same })
      const partitions = [{ partition: 0, offset: String(BigInt(batch.lastOffset()) + 1n) }]
      await transaction.sendOffsets({ consumerGroupId: `bench-${from}`, topics: [{ topic: from, partitions }] })
      await transaction.commit()
    })
  }

  /** What came while one request was under way goes in the next: kafkajs has one idempotent request at a time. */
  const append = batcher<string, void>(
    async (keys) => {
      const messages = keys.map((key) => ({ key, value: Buffer.alloc(350, 7), partition: 0 }))
      await first.send({ topic: 'hop-a', acks: -1, messages })
      return keys.map(() => undefined)
    },
    { itemsMax: appendsAtOnceMax, waitingMax: Number.POSITIVE_INFINITY },
  )

  await reader('hop-c', async ({ messages }) => {
    for (const { key } of messages) underWay.get(String(key))?.()
  })
  await hop('hop-b', 'hop-c')
  await hop('hop-a', 'hop-b')
  return {
    async send() {
      sent += 1
      const key = String(sent)
      const arrived = new Promise<void>((resolve) => underWay.set(key, resolve))
      await append(key)
      await arrived
      underWay.delete(key)
    },
    close: async () => void (await Promise.all(closing.map((close) => close()))),
  }
}
