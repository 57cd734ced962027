/** The queue of an owner under a flood, in time that is counted and not waited for: who waits how long, and who gets how much. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Entry,
  emptyFairQueue,
  enqueue,
  next,
  queueSize,
  starvationBound,
  take,
} from '../processors/execution/fair-queue.ts'
import { emptyFifo, fifoSize, push, shift } from '../processors/execution/fifo.ts'
import { sequence } from '../providers/local/seeded-order.ts'
import { startRedis } from '../tests/stack/redis.ts'
import { bullMq, redisAt } from './peers.ts'
import type { Bench, Row } from './report.ts'

const places = 16
const jobMs = 10
const floodJobs = 100_000
const smallTenants = 99
const jobsPerSmallTenant = 20
const weights = [1, 2, 4, 8]
const jobsPerWeighted = 20_000

export const fair: Bench = {
  about: `One tenant floods ${floodJobs.toLocaleString('en')} jobs at once; ${smallTenants} others submit ${jobsPerSmallTenant} each at random moments until the flood has drained; ${places} places, ${jobMs} ms a job. Beside it the same arrivals served in order, as any plain queue serves them; and BullMQ itself, with a worker of as many places. And what tenants of weights ${weights.join(', ')} get while all of them have work.`,
  limits:
    "The real queue in counted time: every job takes the same, and deciding takes nothing. BullMQ runs in real time, on a Redis of its own: its waits have its work in them, and ours have not; what it shows is the order. BullMQ's groups, which are not open source, would be fair.",
  async run({ rounds }) {
    const wait: Row = {
      what: 'wait of the small, 99 of 100 within',
      unit: 'ms',
      ours: [],
      beside: { name: 'first come, first served', rounds: [] },
    }
    const idle: Row = {
      what: 'arrival to end of the small, 99 of 100 within',
      unit: 'ms',
      ours: [],
      beside: { name: 'PF-3 without the flood', rounds: [] },
      aim: '≤ 2×',
    }
    const bound: Row = {
      what: 'longest wait of the small, within the bound',
      unit: 'ms',
      ours: [],
      beside: { name: 'bound of the formula', rounds: [] },
      aim: '≤ 1×',
    }
    const queue: Row = {
      what: 'wait of the small, 99 of 100 within',
      unit: 'ms',
      ours: wait.ours,
      beside: { name: 'BullMQ', rounds: [] },
    }
    const share: Row = { what: 'share off its weight, at most', unit: '%', ours: [], aim: '≤ 2 %' }
    for (let round = 0; round < rounds; round++) {
      const small = smallJobs(round + 1)
      const flooded = served([...flood(), ...small], fairLine())
      const [ours, fifo, alone] = [flooded, served([...flood(), ...small], inOrder()), served(small, fairLine())].map(
        (waits) => waits.filter(({ tenantId }) => tenantId !== 'flood').map(({ waitMs }) => waitMs),
      )
      wait.ours.push(within99(ours ?? []))
      wait.beside?.rounds.push(within99(fifo ?? []))
      queue.beside?.rounds.push(within99(await servedByBullMq(small)))
      idle.ours.push(within99(ours ?? []) + jobMs)
      idle.beside?.rounds.push(within99(alone ?? []) + jobMs)
      // Of what others may start before a job that is the first of its line, `places` start at a time; and a free place is at most one job away.
      const others = Array.from({ length: smallTenants }, () => ({ weight: 1 }))
      bound.ours.push(Math.max(...(ours ?? [])))
      bound.beside?.rounds.push((starvationBound({ cost: 1, weight: 1 }, others) / places) * jobMs + jobMs)
      share.ours.push(offWeight())
    }
    return {
      rows: [wait, queue, idle, bound, share],
      setting: 'counted time; BullMQ on Redis with an append-only file',
    }
  },
}

type Arrival = { tenantId: string; jobId: string; atMs: number }
type Line = { add(job: Arrival): void; start(nowMs: number): Arrival | undefined; size(): number }

const flood = (): Arrival[] =>
  Array.from({ length: floodJobs }, (_, n) => ({ tenantId: 'flood', jobId: `flood-${n}`, atMs: 0 }))

function smallJobs(seed: number): Arrival[] {
  const draw = sequence(seed)
  const drainMs = (floodJobs * jobMs) / places
  return Array.from({ length: smallTenants * jobsPerSmallTenant }, (_, n) => ({
    tenantId: `small-${n % smallTenants}`,
    jobId: `small-${n}`,
    atMs: draw() * drainMs,
  })).toSorted((a, b) => a.atMs - b.atMs)
}

const entryOf = ({ tenantId, jobId, atMs }: Arrival, weight: number): Entry => {
  const at = BigInt(Math.round(atMs * 1_000))
  return { tenantId, jobId, cost: 1, priority: 3, weight, enqueuedAt: at, readyAt: at }
}

function fairLine(): Line {
  const queue = emptyFairQueue()
  const waiting = new Map<string, Arrival>()
  return {
    add(job) {
      waiting.set(job.jobId, job)
      enqueue(queue, entryOf(job, 1))
    },
    start(nowMs) {
      const now = BigInt(Math.round(nowMs * 1_000))
      const jobId = next(queue, now)?.jobId
      if (jobId === undefined) return undefined
      take(queue, jobId, now)
      const job = waiting.get(jobId)
      waiting.delete(jobId)
      return job
    },
    size: () => queueSize(queue),
  }
}

function inOrder(): Line {
  const fifo = emptyFifo<Arrival>()
  return { add: (job) => push(fifo, job), start: () => shift(fifo), size: () => fifoSize(fifo) }
}

/** Every place takes the next job the moment it is free. */
function served(arrivals: readonly Arrival[], line: Line): { tenantId: string; waitMs: number }[] {
  const freeAtMs = Array<number>(places).fill(0)
  const waits: { tenantId: string; waitMs: number }[] = []
  let arrived = 0
  while (arrived < arrivals.length || line.size() > 0) {
    const place = freeAtMs.indexOf(Math.min(...freeAtMs))
    let nowMs = freeAtMs[place] ?? 0
    if (line.size() === 0) nowMs = Math.max(nowMs, arrivals[arrived]?.atMs ?? nowMs)
    for (let job = arrivals[arrived]; job && job.atMs <= nowMs; job = arrivals[++arrived]) line.add(job)
    const job = line.start(nowMs)
    if (!job) throw new Error('The line has jobs and gives none.')
    waits.push({ tenantId: job.tenantId, waitMs: nowMs - job.atMs })
    freeAtMs[place] = nowMs + jobMs
  }
  return waits
}

/** The waits of the small behind the same flood, in milliseconds. */
async function servedByBullMq(small: readonly Arrival[]): Promise<number[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-bench-'))
  const redis = await startRedis({ dir })
  const { Queue, Worker } = await bullMq()
  const connection = redisAt(redis.url)
  const queue = new Queue('fair', { connection })
  try {
    const bulk = 1_000
    for (let added = 0; added < floodJobs; added += bulk)
      await queue.addBulk(Array.from({ length: bulk }, () => ({ name: 'flood', data: null })))
    const waits: number[] = []
    const done = Promise.withResolvers<void>()
    const work = async ({ data }: { data: unknown }) => {
      if (typeof data === 'number') waits.push(performance.now() - data)
      await sleep(jobMs)
      if (waits.length === small.length) done.resolve()
    }
    const sinceMs = performance.now()
    const worker = new Worker('fair', work, { connection, concurrency: places })
    for (const { atMs } of small) {
      const leftMs = sinceMs + atMs - performance.now()
      if (leftMs > 0) await sleep(leftMs)
      await queue.add('small', performance.now())
    }
    await done.promise
    await worker.close()
    return waits
  } finally {
    await queue.close()
    await redis.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Per cent between what a tenant got and what its weight says, the worst of them, while all of them had work. */
function offWeight(): number {
  const queue = emptyFairQueue()
  for (let n = 0; n < jobsPerWeighted; n++)
    for (const weight of weights)
      enqueue(queue, entryOf({ tenantId: `weight-${weight}`, jobId: `${weight}-${n}`, atMs: 0 }, weight))
  const started = new Map<string, number>()
  for (let left = Infinity; left > 0; ) {
    const entry = next(queue, 0n)
    if (!entry) break
    take(queue, entry.jobId, 0n)
    const count = (started.get(entry.tenantId) ?? 0) + 1
    started.set(entry.tenantId, count)
    left = jobsPerWeighted - count
  }
  const all = [...started.values()].reduce((sum, count) => sum + count, 0)
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0)
  return Math.max(
    ...weights.map((weight) => {
      const got = (started.get(`weight-${weight}`) ?? 0) / all
      return Math.abs(got / (weight / weightSum) - 1) * 100
    }),
  )
}

function within99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? Number.NaN
}
