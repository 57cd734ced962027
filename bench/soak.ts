/** A long time at 70 % of what the machine takes: whether memory grows, whether anything falls behind, whether a job costs more. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../bin/demo/fairness.ts'
import { jobClient } from '../bin/demo/job-client.ts'
import { serviceFigures } from '../bin/demo/service-figures.ts'
import { type OnKafka, onKafka } from './on-kafka.ts'
import { processorMs, residentMiB } from './processes.ts'
import type { Bench, Row } from './report.ts'
import { slopeOf } from './slope.ts'
import { benchTenants, jobsTogether, wantedJobs } from './work.ts'

const roundMs = 10 * 60_000
const lookMs = 10_000
const share = 0.7
const capacityJobs = 4_000
const connections = 64
const tenants = 100
/** Of a fresh process: pools, caches and compiled code fill up, which is no leak. */
const warmRounds = 1

export const soak: Bench = {
  about: `Jobs of ${tenants} tenants at ${share * 100} % of what the machine took just before, ten minutes a round, each submitted when it is due and waited for. What one more hour would add is the slope over all samples (one in ${lookMs / 1_000} s) after the first ${warmRounds * 10} minutes, with its 95 % interval; neighbouring samples resemble each other, so that the interval is too narrow rather than too wide.`,
  limits:
    'The load, the brokers and the database share the two cores, and the memory of the process is what the system counts, with what the garbage collector has not given back.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 4 * connections }, async (on) => {
      const names = Array.from({ length: tenants }, (_, n) => `soak-${n}`)
      const tokens = await benchTenants(on.client, on.env['PF3_ROOT_TOKEN'] ?? '', names)
      await jobsTogether(on.client, tokens, 'warm-up', capacityJobs / 2, connections)
      const perS =
        (share * capacityJobs * 1_000) / (await jobsTogether(on.client, tokens, 'capacity', capacityJobs, connections))
      const seen = await underLoad(on, tokens, perS, rounds)
      return { ...seen, setting: `${on.setting}; ${perS.toFixed(0)} jobs/s, ${seen.jobs.toLocaleString('en')} jobs` }
    }),
}

type Look = {
  atMs: number
  memoryMiB: number
  requestsBehind: number
  factsBehind: number
  cpuMs: number
  ended: number
}

async function underLoad(on: OnKafka, tokens: readonly string[], perS: number, rounds: number) {
  const all = jobClient(on.client)
  const beganMs = performance.now()
  const endMs = beganMs + rounds * roundMs
  const looks: Look[] = []
  const tookMs: number[][] = Array.from({ length: rounds }, () => [])
  let ended = 0
  const failed = tookMs.map(() => 0)

  const looking = (async () => {
    while (performance.now() < endMs) {
      const { lagRequests: requestsBehind, viewsLagFacts: factsBehind } = await serviceFigures(on.client)
      const cpuMs = processorMs().get('PF-3') ?? Number.NaN
      looks.push({
        atMs: performance.now() - beganMs,
        memoryMiB: residentMiB(),
        requestsBehind,
        factsBehind,
        cpuMs,
        ended,
      })
      await sleep(lookMs)
    }
  })()

  const running = new Set<Promise<void>>()
  const jobs = Math.floor((rounds * roundMs * perS) / 1_000)
  for (let index = 0; index < jobs; index++) {
    const dueMs = beganMs + (index * 1_000) / perS
    const leftMs = dueMs - performance.now()
    if (leftMs > 0) await sleep(leftMs)
    const round = Math.floor((dueMs - beganMs) / roundMs)
    const [wanted] = wantedJobs(tokens[index % tokens.length] ?? '', `soak-${index}`, 1)
    if (!wanted) break
    const one: Promise<void> = all
      .run(wanted)
      .then(() => {
        ended += 1
        tookMs[round]?.push(performance.now() - dueMs)
      })
      .catch((error: unknown) => {
        failed[round] = (failed[round] ?? 0) + 1
        process.stderr.write(`${String(error)}\n`)
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  await looking
  return {
    rows: [
      ...rowsOf(looks, tookMs),
      { what: 'submissions that failed', unit: 'jobs' as const, ours: failed, aim: '0' },
    ],
    raw: rawOf(looks, tookMs),
    jobs: ended,
  }
}

function rowsOf(looks: readonly Look[], tookMs: readonly number[][]): Row[] {
  const byRound = tookMs.map((_, round) =>
    looks.filter(({ atMs }) => atMs >= round * roundMs && atMs < (round + 1) * roundMs),
  )
  const each = (value: (look: Look) => number) => byRound.map((of) => Math.max(...of.map(value)))
  const steady = looks.filter(({ atMs }) => atMs >= Math.min(warmRounds, tookMs.length - 1) * roundMs)
  const hours = steady.map(({ atMs }) => atMs / 3_600_000)
  const sorted = tookMs.map((of) => of.toSorted((a, b) => a - b))
  const cpuPerJob = byRound.map((of) => {
    const [first, last] = [of[0], of.at(-1)]
    return first && last ? (last.cpuMs - first.cpuMs) / (last.ended - first.ended) : Number.NaN
  })
  return [
    { what: 'submission to end, half of them within', unit: 'ms', ours: sorted.map((of) => quantile(of, 0.5)) },
    { what: 'submission to end, 99 of 100 within', unit: 'ms', ours: sorted.map((of) => quantile(of, 0.99)) },
    { what: "PF-3's processor time", unit: 'ms a job', ours: cpuPerJob },
    { what: "PF-3's memory, at most", unit: 'MiB', ours: each(({ memoryMiB }) => memoryMiB) },
    {
      what: 'memory that one more hour adds',
      unit: 'MiB',
      ours: slopeOf(
        hours,
        steady.map(({ memoryMiB }) => memoryMiB),
      ),
      aim: '0 in the interval',
    },
    { what: 'requests not taken yet, at most', unit: 'records', ours: each(({ requestsBehind }) => requestsBehind) },
    { what: 'facts not in the views yet, at most', unit: 'records', ours: each(({ factsBehind }) => factsBehind) },
    {
      what: 'facts not in the views that one more hour adds',
      unit: 'records',
      ours: slopeOf(
        hours,
        steady.map(({ factsBehind }) => factsBehind),
      ),
      aim: '0 in the interval',
    },
  ]
}

const rawOf = (looks: readonly Look[], tookMs: readonly number[][]): Record<string, number[]> => ({
  atMs: looks.map(({ atMs }) => atMs),
  memoryMiB: looks.map(({ memoryMiB }) => memoryMiB),
  requestsBehind: looks.map(({ requestsBehind }) => requestsBehind),
  factsBehind: looks.map(({ factsBehind }) => factsBehind),
  cpuMs: looks.map(({ cpuMs }) => cpuMs),
  ended: looks.map(({ ended }) => ended),
  ...Object.fromEntries(tookMs.map((of, round) => [`tookMs-${round}`, of])),
})
