/** Jobs a second the whole way, beside what the same machine's Kafka takes, and beside queues that do as much, or less. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { apiClient, inParallel } from '../bin/demo/api-client.ts'
import { producerSettings } from '../platform/log/kafka/client.ts'
import { type BullQueue, bullJobsPerS, bullOn, priorityOf } from './bull.ts'
import { makeTopics, type OnKafka, onKafka } from './on-kafka.ts'
import type { Bench, Row } from './report.ts'
import { jobBody, jobsInBatches, jobsTogether } from './work.ts'

const callers = 64
/** In eight requests. */
const batched = { inFlight: 512, batchSize: 64 }
/** Compiled and pooled by then, on either side: a new process is a quarter slower in its first thousands of jobs. */
const warmUpJobs = 6_144
const jobsPerRound = 2_048
const batchedPerRound = 6_144
const recordsPerRound = 20_000
/** About what one job writes: its request and six facts. */
const recordBytes = 350
const recordsPerJob = 7

const perS = (count: number, sinceMs: number): number => (count * 1_000) / (performance.now() - sinceMs)

export const pipeline: Bench = {
  about: `Jobs a second the whole way: HTTP, admission under two caps, execution, metering, rating, views, and the answer to a caller who waits. ${callers} callers with one job each; then ${batched.inFlight} jobs in flight, ${batched.batchSize} in a request. The same number in flight on every side.`,
  limits:
    'All of it, brokers and databases included, shares the cores of one machine. The raw writes are those of one client that does nothing else and batches as it likes. BullMQ keeps its queue in Redis with an append-only file that is synced every second; it is added to and waited for without HTTP, except where a route is named; no caps, no meter, no audit, no encryption, no idempotency keys.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * callers }, async (on) => {
      const ledger = 'BullMQ with a job row and a ledger row in PostgreSQL'
      const rows = {
        raw: row(
          'one job a request, beside raw writes of as many records',
          `kafkajs, acks=all, ${recordsPerJob} records of ${recordBytes} bytes a job`,
        ),
        ledger: row('one job a request', ledger, '≥ 1.5×'),
        door: row('one job a request', `the same behind an express route`),
        empty: row('one job a request', 'BullMQ, empty jobs with priorities', '≥ 0.5×'),
        ledgers: row(`${batched.batchSize} jobs a request`, `${ledger}, addBulk`, '≥ 1.5×'),
        empties: row(`${batched.batchSize} jobs a request`, 'BullMQ, empty jobs with priorities, addBulk', '≥ 0.5×'),
      }
      const peers = await openPeers(on)
      try {
        await jobsTogether(on.client, on.token, 'warm-up', warmUpJobs, callers)
        await jobsInBatches(on.client, on.token, 'warm-up-batch', warmUpJobs, batched)
        await peers.warmUp()
        for (let round = 0; round < rounds; round++) {
          const took = await jobsTogether(on.client, on.token, `round-${round}`, jobsPerRound, callers)
          const own = (jobsPerRound * 1_000) / took
          push(rows.raw, own, await peers.rawJobs())
          push(rows.ledger, own, await peers.bullJobs('ledger', round))
          push(rows.door, own, await peers.doorJobs(round))
          push(rows.empty, own, await peers.bullJobs('empty', round))
          const tookBatched = await jobsInBatches(on.client, on.token, `batch-${round}`, batchedPerRound, batched)
          const ownBatched = (batchedPerRound * 1_000) / tookBatched
          push(rows.ledgers, ownBatched, await peers.bullBatches('ledger', round))
          push(rows.empties, ownBatched, await peers.bullBatches('empty', round))
        }
      } finally {
        await peers.close()
      }
      return { rows: Object.values(rows), setting: on.setting }
    }),
}

const row = (what: string, name: string, aim?: string): Row => ({
  what,
  unit: 'jobs/s',
  ours: [],
  beside: { name, rounds: [] },
  ...(aim !== undefined && { aim }),
})

function push({ ours, beside }: Row, own: number, other: number): void {
  ours.push(own)
  beside?.rounds.push(other)
}

async function openPeers({ stack, kafka }: OnKafka) {
  await makeTopics(kafka, ['raw'], 6)
  const producer = kafka.producer({ idempotent: true, ...producerSettings, maxInFlightRequests: 5 })
  await producer.connect()
  const { PF3_REDIS_URL: redisUrl, PF3_POSTGRES_URL: postgresUrl } = stack.environment
  const withBull = await bullOn(redisUrl, postgresUrl)

  return {
    async rawJobs(): Promise<number> {
      const value = Buffer.alloc(recordBytes, 7)
      const since = performance.now()
      await inParallel(Array(recordsPerRound / 200).keys(), 5, async (chunk) => {
        const messages = Array.from({ length: 200 }, (_, at) => ({ value, partition: (chunk + at) % 6 }))
        await producer.send({ topic: 'raw', acks: -1, messages })
      })
      return perS(recordsPerRound, since) / recordsPerJob
    },
    warmUp: (): Promise<number> =>
      withBull(callers, (bull) => bullJobsPerS(bull, 'ledger', { name: 'warm-up', jobs: warmUpJobs, callers })),
    bullJobs: (queue: BullQueue, round: number): Promise<number> =>
      withBull(callers, (bull) => bullJobsPerS(bull, queue, { name: `one-${round}`, jobs: jobsPerRound, callers })),
    bullBatches: (queue: BullQueue, round: number): Promise<number> =>
      withBull(batched.inFlight, async (bull) => {
        const { batchSize, inFlight } = batched
        const since = performance.now()
        await inParallel(Array(batchedPerRound / batchSize).keys(), inFlight / batchSize, async (batch) => {
          const jobs = Array.from({ length: batchSize }, (_, at) => {
            const index = batch * batchSize + at
            const priority = priorityOf(queue, index)
            return { id: `many-${round}-${index}`, data: jobBody(index), ...(priority !== undefined && { priority }) }
          })
          await bull.runAll(queue, jobs)
        })
        return perS(batchedPerRound, since)
      }),
    async doorJobs(round: number): Promise<number> {
      const door = spawn(
        process.execPath,
        [join(import.meta.dirname, 'bull-door.ts'), redisUrl, postgresUrl, String(callers)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      const ended = new Promise((resolve) => door.once('close', resolve))
      const port = await new Promise<string>((resolve) => createInterface({ input: door.stdout }).once('line', resolve))
      const client = apiClient(() => `http://127.0.0.1:${port}`, callers)
      try {
        const run = (name: string, jobs: number) =>
          inParallel(Array(jobs).keys(), callers, async (index) => {
            const headers = { 'idempotency-key': `${name}-${round}-${index}` }
            await client.mustAsk('', { method: 'POST', path: '/jobs', body: jobBody(index), headers })
          })
        await run('door-warm-up', warmUpJobs) // It is a new process every time.
        const since = performance.now()
        await run('door', jobsPerRound)
        return perS(jobsPerRound, since)
      } finally {
        client.close()
        door.kill('SIGTERM')
        await ended
      }
    },
    close: () => producer.disconnect(),
  }
}
