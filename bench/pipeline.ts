/** Jobs a second the whole way, beside what the same machine's Kafka takes, and beside queues that do as much, or less. */
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { inParallel } from '../bin/demo/api-client.ts'
import { producerSettings } from '../platform/log/kafka/client.ts'
import { makeTopics, type OnKafka, onKafka } from './on-kafka.ts'
import { bullMq, redisAt } from './peers.ts'
import type { Bench, Row } from './report.ts'
import { jobBody, jobsTogether } from './work.ts'

const inFlight = 64
const jobsPerRound = 2_000
const recordsPerRound = 20_000
/** About what one job writes: its request and seven facts. */
const recordBytes = 350
const recordsPerJob = 8

const perS = (count: number, sinceMs: number): number => (count * 1_000) / (performance.now() - sinceMs)

export const pipeline: Bench = {
  about: `Jobs a second the whole way: HTTP, admission under two caps, execution, metering, rating, views, and the answer to a caller who waits; ${inFlight} callers at once.`,
  limits:
    'All of it, brokers and databases included, shares the cores of one machine. The raw writes are those of one client that does nothing else and batches as it likes. BullMQ keeps its queue in Redis with an append-only file that is synced every second; no caps, no meter, no audit.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async (on) => {
      const rows = {
        raw: row(
          'jobs, beside raw writes of as many records',
          `kafkajs, acks=all, ${recordsPerJob} records of ${recordBytes} bytes a job`,
        ),
        ledger: row('jobs, beside BullMQ with a job row and a ledger row in PostgreSQL', 'BullMQ, AOF', '≥ 1.5×'),
        empty: row('jobs, beside BullMQ with empty jobs and priorities', 'BullMQ, AOF', '≥ 0.5×'),
      }
      const peers = await openPeers(on)
      try {
        await ours(on, 'warm-up', 300)
        for (let round = 0; round < rounds; round++) {
          const own = await ours(on, `round-${round}`, jobsPerRound)
          for (const one of Object.values(rows)) one.ours.push(own)
          rows.raw.beside.rounds.push(await peers.rawJobs())
          rows.ledger.beside.rounds.push(await peers.bullJobs('ledger', round))
          rows.empty.beside.rounds.push(await peers.bullJobs('empty', round))
        }
      } finally {
        await peers.close()
      }
      return { rows: Object.values(rows), setting: on.setting }
    }),
}

const row = (what: string, name: string, aim?: string): Row & { beside: { rounds: number[] } } => ({
  what,
  unit: 'jobs/s',
  ours: [],
  beside: { name, rounds: [] },
  ...(aim !== undefined && { aim }),
})

async function ours({ client, token }: OnKafka, name: string, count: number): Promise<number> {
  return (count * 1_000) / (await jobsTogether(client, token, name, count, inFlight))
}

async function openPeers({ stack, kafka }: OnKafka) {
  await makeTopics(kafka, ['raw'], 6)
  const producer = kafka.producer({ idempotent: true, ...producerSettings, maxInFlightRequests: 5 })
  await producer.connect()

  const connection = redisAt(stack.environment.PF3_REDIS_URL)
  const { Queue, QueueEvents, Worker } = await bullMq()
  const pool = new Pool({ connectionString: stack.environment.PF3_POSTGRES_URL, max: 10 })
  await pool.query('CREATE TABLE peer_job (id text PRIMARY KEY, state text, result jsonb)')
  await pool.query('CREATE TABLE peer_ledger (id bigserial PRIMARY KEY, job text REFERENCES peer_job, pico numeric)')
  const queues = { ledger: new Queue('ledger', { connection }), empty: new Queue('empty', { connection }) }
  const redis = new Redis(stack.environment.PF3_REDIS_URL)
  await redis.config('SET', 'appendonly', 'yes')
  const events = { ledger: new QueueEvents('ledger', { connection }), empty: new QueueEvents('empty', { connection }) }
  const work = async ({ id }: { id?: string | undefined }) => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await client.query('INSERT INTO peer_job VALUES ($1, $2, $3)', [
        id,
        'succeeded',
        JSON.stringify({ label: 'positive' }),
      ])
      await client.query('INSERT INTO peer_ledger (job, pico) VALUES ($1, $2)', [id, '1200000'])
      await client.query('COMMIT')
    } finally {
      client.release()
    }
  }
  const workers = [
    new Worker('ledger', work, { connection, concurrency: inFlight }),
    new Worker('empty', async () => undefined, { connection, concurrency: inFlight }),
  ]
  return {
    async rawJobs(): Promise<number> {
      const value = Buffer.alloc(recordBytes, 7)
      const since = performance.now()
      const chunks = Array.from({ length: recordsPerRound / 200 }, (_, index) => index)
      await inParallel(chunks, 5, async (chunk) => {
        const messages = Array.from({ length: 200 }, (_, at) => ({ value, partition: (chunk + at) % 6 }))
        await producer.send({ topic: 'raw', acks: -1, messages })
      })
      return perS(recordsPerRound, since) / recordsPerJob
    },
    async bullJobs(name: 'ledger' | 'empty', round: number): Promise<number> {
      const since = performance.now()
      const indices = Array.from({ length: jobsPerRound }, (_, index) => index)
      await inParallel(indices, inFlight, async (index) => {
        const options = { jobId: `${name}-${round}-${index}`, ...(name === 'empty' && { priority: 1 + (index % 3) }) }
        const job = await queues[name].add('classify', jobBody(index), options)
        await job.waitUntilFinished(events[name])
      })
      return perS(jobsPerRound, since)
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all([...Object.values(events), ...Object.values(queues)].map((one) => one.close()))
      await producer.disconnect()
      redis.disconnect()
      await pool.end()
    },
  }
}
