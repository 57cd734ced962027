/** BullMQ as what PF-3 is compared with: a queue whose jobs do nothing, and one whose worker writes a job and a ledger row. */
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { inParallel } from '../bin/demo/api-client.ts'
import { bullMq, redisAt } from './peers.ts'
import { jobBody } from './work.ts'

export type Bull = {
  /** Resolves when the job has ended. */
  run(queue: BullQueue, id: string, data: unknown, priority?: number): Promise<void>
  /** Added together; resolves when all have ended. */
  runAll(queue: BullQueue, jobs: readonly { id: string; data: unknown; priority?: number }[]): Promise<void>
  close(): Promise<void>
}
export type BullQueue = 'ledger' | 'empty'

const connectionsMax = 20

const tablesSql = `
CREATE TABLE peer_job (id text PRIMARY KEY, state text, result jsonb);
CREATE TABLE peer_ledger (id bigserial PRIMARY KEY, job text REFERENCES peer_job, pico numeric)`

/** `inFlight`: jobs that each worker takes at once. The server keeps an append-only file, synced every second. */
export async function openBull(redisUrl: string, postgresUrl: string, inFlight: number): Promise<Bull> {
  const connection = redisAt(redisUrl)
  const { Queue, QueueEvents, Worker } = await bullMq()
  const pool = new Pool({ connectionString: postgresUrl, max: connectionsMax })
  const redis = new Redis(redisUrl)
  await redis.config('SET', 'appendonly', 'yes')
  redis.disconnect()
  const queues = { ledger: new Queue('ledger', { connection }), empty: new Queue('empty', { connection }) }
  const events = { ledger: new QueueEvents('ledger', { connection }), empty: new QueueEvents('empty', { connection }) }
  for (const each of [...Object.values(queues), ...Object.values(events)]) each.setMaxListeners(0) // One for every job that is waited for.
  await Promise.all(Object.values(events).map((each) => each.waitUntilReady()))
  const concurrency = inFlight
  const workers = [
    new Worker('ledger', ({ id }) => writeRows(pool, id), { connection, concurrency }),
    new Worker('empty', async () => undefined, { connection, concurrency }),
  ]
  const optionsOf = (id: string, priority: number | undefined) => ({
    jobId: id,
    ...(priority !== undefined && { priority }),
  })
  return {
    async run(queue, id, data, priority) {
      const job = await queues[queue].add('classify', data, optionsOf(id, priority))
      await job.waitUntilFinished(events[queue])
    },
    async runAll(queue, wanted) {
      const added = await queues[queue].addBulk(
        wanted.map(({ id, data, priority }) => ({ name: 'classify', data, opts: optionsOf(id, priority) })),
      )
      await Promise.all(added.map((job) => job.waitUntilFinished(events[queue])))
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all([...Object.values(events), ...Object.values(queues)].map((one) => one.close()))
      await pool.end()
    },
  }
}

/** Makes the tables; the answer opens a BullMQ for as long as it is used, so that workers that nobody needs take nothing away. */
export async function bullOn(redisUrl: string, postgresUrl: string) {
  const pool = new Pool({ connectionString: postgresUrl, max: 1 })
  await pool.query(tablesSql)
  await pool.end()
  return async <Result>(inFlight: number, use: (bull: Bull) => Promise<Result>): Promise<Result> => {
    const bull = await openBull(redisUrl, postgresUrl, inFlight)
    try {
      return await use(bull)
    } finally {
      await bull.close()
    }
  }
}

/** Jobs a second with `callers` who each wait for theirs; in the queue of empty jobs they have priorities. */
export async function bullJobsPerS(
  bull: Bull,
  queue: BullQueue,
  { name, jobs, callers }: { name: string; jobs: number; callers: number },
): Promise<number> {
  const since = performance.now()
  await inParallel(Array(jobs).keys(), callers, (index) =>
    bull.run(queue, `${name}-${index}`, jobBody(index), priorityOf(queue, index)),
  )
  return (jobs * 1_000) / (performance.now() - since)
}

export const priorityOf = (queue: BullQueue, index: number): number | undefined =>
  queue === 'empty' ? 1 + (index % 3) : undefined

async function writeRows(pool: Pool, id: string | undefined): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = JSON.stringify({ label: 'positive' })
    await client.query('INSERT INTO peer_job VALUES ($1, $2, $3)', [id, 'succeeded', result])
    await client.query('INSERT INTO peer_ledger (job, pico) VALUES ($1, $2)', [id, '1200000'])
    await client.query('COMMIT')
  } finally {
    client.release()
  }
}
