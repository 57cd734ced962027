/** What the embedded profile does on this machine, and beside its throughput a queue with a database, which are two servers. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiClient, apiClient, inParallel } from '../bin/demo/api-client.ts'
import { quantile } from '../bin/demo/fairness.ts'
import { jobClient, type WantedJob } from '../bin/demo/job-client.ts'
import { type ServiceProcess, startServiceProcess } from '../bin/demo/service-process.ts'
import { startPostgres } from '../tests/postgres/start-postgres.ts'
import { startRedis } from '../tests/stack/redis.ts'
import { type BullQueue, bullJobsPerS, bullOn } from './bull.ts'
import type { Bench, Row } from './report.ts'
import { benchTenant, jobsOneByOne, jobsTogether, wantedJobs } from './work.ts'

const latencyJobs = 200
/** Compiled by then, on either side. */
const warmUpJobs = 2_000
const atOnceMax = 64
const jobsPerRound = 2_000

export const embedded: Bench = {
  about:
    'The embedded profile from outside: how long a start takes, from submission to end of one job, and how many jobs a second go the whole way from the door to the ledger.',
  limits:
    'PGlite without fsync, one session that does one thing at a time. BullMQ, as in [pipeline](#pipeline), has a Redis with an append-only file and a PostgreSQL that waits for the disk; it is added to and waited for without HTTP, while PF-3 stands still.',
  async run({ rounds }) {
    const peers = await openPeers()
    try {
      return { rows: await measure(rounds, peers), setting: `PGlite ${await pgliteVersion()}, one process` }
    } finally {
      await peers.stop()
    }
  },
}

const rootToken = `pf3_${randomBytes(32).toString('base64url')}`

type Note = (what: string, unit: Row['unit'], value: number, aim?: string) => void

async function measure(rounds: number, peers: Peers): Promise<Row[]> {
  const rows = new Map<string, Row>()
  const note: Note = (what, unit, value, aim) => {
    const row = rows.get(what) ?? { what, unit, ours: [], ...(aim !== undefined && { aim }) }
    row.ours.push(value)
    rows.set(what, row)
  }
  const besideQueue = {
    ledger: besides('BullMQ with a job row and a ledger row in PostgreSQL', '≥ 1.5×'),
    empty: besides('BullMQ, empty jobs with priorities', '≥ 0.5×'),
  }
  for (let round = 0; round < rounds; round++) {
    const dataDir = await mkdtemp(join(tmpdir(), 'pf3-bench-'))
    let service: ServiceProcess | undefined
    try {
      service = await startServiceProcess({ dataDir, port: 0, rootToken })
      note('ready, cold (fresh data directory)', 'ms', service.readyMs)
      await service.stop()
      service = await startServiceProcess({ dataDir, port: 0, rootToken })
      note('ready, warm (same data directory)', 'ms', service.readyMs)
      const { url } = service
      const client = apiClient(() => url, atOnceMax * 2)
      const own = await underLoad(client, note)
      client.close()
      await service.stop()
      for (const queue of ['ledger', 'empty'] satisfies BullQueue[]) {
        besideQueue[queue].ours.push(own)
        besideQueue[queue].beside?.rounds.push(await peers.jobsPerS(queue, round))
      }
    } finally {
      await service?.kill()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
  return [...rows.values(), besideQueue.ledger, besideQueue.empty]
}

const besides = (name: string, aim: string): Row => ({
  what: `the same ${atOnceMax}, beside a queue`,
  unit: 'jobs/s',
  ours: [],
  beside: { name, rounds: [] },
  aim,
})

type Peers = Awaited<ReturnType<typeof openPeers>>

async function openPeers() {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-bench-peers-'))
  const [redis, postgres] = [await startRedis({ dir }), await startPostgres()]
  const withBull = await bullOn(redis.url, postgres.url)
  return {
    jobsPerS: (queue: BullQueue, round: number): Promise<number> =>
      withBull(atOnceMax, async (bull) => {
        await bullJobsPerS(bull, queue, { name: `warm-up-${round}`, jobs: warmUpJobs, callers: atOnceMax })
        return bullJobsPerS(bull, queue, { name: `${queue}-${round}`, jobs: jobsPerRound, callers: atOnceMax })
      }),
    async stop() {
      await redis.stop()
      await postgres.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Jobs a second of callers who wait. */
async function underLoad(client: ApiClient, note: Note): Promise<number> {
  const token = await benchTenant(client, rootToken)
  const all = jobClient(client)
  await jobsTogether(client, token, 'warm-up', warmUpJobs, atOnceMax)
  const latencies = (await jobsOneByOne(all, token, 'latency', latencyJobs)).sort((a, b) => a - b)
  note('submission to end of one job, idle, half of them within', 'ms', quantile(latencies, 0.5))
  note('submission to end of one job, idle, 99 of 100 within', 'ms', quantile(latencies, 0.99))
  const since = performance.now()
  await inParallel(wantedJobs(token, 'flood', jobsPerRound), atOnceMax, async (wanted) => void (await all.run(wanted)))
  const waited = (jobsPerRound * 1_000) / (performance.now() - since)
  note(`jobs a second, ${atOnceMax} connections that wait for each end`, 'jobs/s', waited)
  const queuedSince = performance.now()
  const taken: { wanted: WantedJob; id: string }[] = []
  await inParallel(wantedJobs(token, 'queue', jobsPerRound), atOnceMax, async (wanted) => {
    taken.push({ wanted, id: (await all.submit(wanted)).id })
  })
  note(
    `jobs a second taken, ${atOnceMax} connections`,
    'jobs/s',
    (jobsPerRound * 1_000) / (performance.now() - queuedSince),
  )
  await inParallel(taken, atOnceMax, async ({ wanted, id }) => void (await all.end(wanted, id)))
  note(
    'jobs a second, submitted first and then asked for',
    'jobs/s',
    (jobsPerRound * 1_000) / (performance.now() - queuedSince),
  )
  return waited
}

async function pgliteVersion(): Promise<string> {
  const file = join(import.meta.dirname, '..', 'node_modules', '@electric-sql', 'pglite', 'package.json')
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version
}
