/**
 * `npm run bench`: what the embedded profile does on this machine, measured from outside over HTTP: how long a start
 * takes, from submission to end of one job, and how many jobs a second go the whole way from the door to the ledger.
 *
 *     node bench/run.ts [--rounds 3] [--jobs 2000] [--json]
 *
 * Several rounds, each told, with the middle one and the spread. Also written to bench/results/.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, platform, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ApiClient, apiClient, inParallel } from '../bin/demo/api-client.ts'
import { quantile } from '../bin/demo/fairness.ts'
import { type JobClient, jobClient, type WantedJob } from '../bin/demo/job-client.ts'
import { type ServiceProcess, startServiceProcess } from '../bin/demo/service-process.ts'

type Figure = { name: string; unit: string; rounds: number[]; median: number; spread: number }

const latencyJobs = 200
const warmUpJobs = 50
const atOnceMax = 64

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    jobs: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const jobs = Number(values.jobs)
if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(jobs) || jobs < 1) {
  process.stderr.write('--rounds and --jobs: whole numbers of at least 1 were expected\n')
  process.exit(2)
}

const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
const report = { at: new Date().toISOString(), machine: await machine(), jobsPerRound: jobs, figures: await measure() }
const folder = join(import.meta.dirname, 'results')
await mkdir(folder, { recursive: true })
await writeFile(join(folder, `${report.at.replaceAll(':', '-')}.json`), `${JSON.stringify(report, null, 2)}\n`)
process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : toText())

async function measure(): Promise<Figure[]> {
  const found = new Map<string, { unit: string; rounds: number[] }>()
  const note = (name: string, unit: string, value: number) => {
    const figure = found.get(name) ?? { unit, rounds: [] }
    figure.rounds.push(value)
    found.set(name, figure)
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
      await underLoad(client, note)
      client.close()
      await service.stop()
    } finally {
      await service?.kill()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
  return [...found].map(([name, { unit, rounds: values }]) => {
    const sorted = [...values].sort((a, b) => a - b)
    return {
      name,
      unit,
      rounds: values,
      median: quantile(sorted, 0.5),
      spread: (sorted.at(-1) ?? 0) - (sorted[0] ?? 0),
    }
  })
}

async function underLoad(client: ApiClient, note: (name: string, unit: string, value: number) => void): Promise<void> {
  const root = <Body>(path: string, body: object) =>
    client.mustAsk<Body>(rootToken, {
      method: 'POST',
      path,
      body,
      headers: { 'X-PF3-Justification': 'set-up of a measurement' },
    })
  await root('/v1/tenants', { id: 'bench', level: 'client', name: 'Bench', currency: 'USD', timeZone: 'UTC' })
  const { token } = await root<{ token: string }>('/v1/tenants/bench/tokens', { role: 'tenant-admin' })
  const all = jobClient(client)
  await oneByOne(all, token, 'warm-up', warmUpJobs)
  const latencies = (await oneByOne(all, token, 'latency', latencyJobs)).sort((a, b) => a - b)
  note('submission to end of one job, idle, half of them within', 'ms', quantile(latencies, 0.5))
  note('submission to end of one job, idle, 99 of 100 within', 'ms', quantile(latencies, 0.99))
  const since = performance.now()
  await inParallel(wantedJobs(token, 'flood', jobs), atOnceMax, async (wanted) => void (await all.run(wanted)))
  note(
    `jobs a second, ${atOnceMax} connections that wait for each end`,
    'jobs/s',
    (jobs * 1_000) / (performance.now() - since),
  )
  const queuedSince = performance.now()
  const taken: { wanted: WantedJob; id: string }[] = []
  await inParallel(wantedJobs(token, 'queue', jobs), atOnceMax, async (wanted) => {
    taken.push({ wanted, id: (await all.submit(wanted)).id })
  })
  note(`jobs a second taken, ${atOnceMax} connections`, 'jobs/s', (jobs * 1_000) / (performance.now() - queuedSince))
  await inParallel(taken, atOnceMax, async ({ wanted, id }) => void (await all.end(wanted, id)))
  note(
    'jobs a second, submitted first and then asked for',
    'jobs/s',
    (jobs * 1_000) / (performance.now() - queuedSince),
  )
}

/** Milliseconds per job. */
async function oneByOne(all: JobClient, token: string, name: string, count: number): Promise<number[]> {
  const took: number[] = []
  for (const wanted of wantedJobs(token, name, count)) {
    const since = performance.now()
    await all.run(wanted)
    took.push(performance.now() - since)
  }
  return took
}

/** A short text: the engine takes no time, so that what is measured is the way there and back. */
function wantedJobs(token: string, name: string, count: number): WantedJob[] {
  return Array.from({ length: count }, (_, index) => ({
    token,
    key: `${name}-${index}`,
    body: { capability: 'classify.sentiment', input: { text: `A good day, number ${index}.` } },
  }))
}

async function machine() {
  const modules = join(import.meta.dirname, '..', 'node_modules')
  const version = async (name: string) =>
    (JSON.parse(await readFile(join(modules, name, 'package.json'), 'utf8')) as { version: string }).version
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    pglite: await version('@electric-sql/pglite'),
    profile: 'embedded, without fsync',
  }
}

function toText(): string {
  const { cpu, cores, memoryGiB, system, node, pglite, profile } = report.machine
  const width = Math.max(...report.figures.map(({ name }) => name.length))
  const lines = report.figures.map(
    ({ name, unit, rounds: values, median, spread }) =>
      `${name.padEnd(width)}  ${median.toFixed(1).padStart(9)} ${unit.padEnd(6)}  spread ${spread.toFixed(1)}  (${values.map((value) => value.toFixed(1)).join(', ')})`,
  )
  return [
    `${cores} × ${cpu}, ${memoryGiB} GiB, ${system}; Node ${node}, PGlite ${pglite}, ${profile}; ${rounds} rounds`,
    ...lines,
    '',
  ].join('\n')
}
