/** The rules alone, in memory: admission under many caps, the whole life of a job after a million others, and what each job takes there. */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Bench, Row } from './report.ts'
import { slopeOf } from './slope.ts'
import { World } from './world.ts'

const sizes = [1_000, 10_000, 100_000, 1_000_000]
const jobsMeasured = 5_000
const warmUpJobs = 20_000
const capCounts = [1, 16, 128]
const openCounts = [1_000, 10_000, 100_000]
/** A second apart, 28 hours hold 100,800 jobs: what is older is to be forgotten. */
const pastCounts = [200_000, 500_000, 1_000_000]
const settleMs = 200

/** The first worlds of a process are slower than all others, by what is compiled then. */
function warmUp(): void {
  const world = new World(1, 2)
  for (let n = 0; n < warmUpJobs; n++) world.live(n)
}

export const admission: Bench = {
  about: `A submission decided and folded under so many caps, beside none, by the rules of an owner without log, codec and database; ${jobsMeasured} jobs each.`,
  limits: 'No garbage but its own.',
  async run({ rounds }) {
    const rows: Row[] = capCounts.map((caps) => ({
      what: `admit under ${caps} ${caps === 1 ? 'cap' : 'caps'}`,
      unit: 'µs',
      ours: [],
      beside: { name: 'under none', rounds: [] },
    }))
    warmUp()
    for (let round = 0; round < rounds; round++) {
      for (const [index, caps] of capCounts.entries()) {
        rows[index]?.ours.push(admittedUnder(caps))
        rows[index]?.beside?.rounds.push(admittedUnder(0))
      }
    }
    return { rows, setting: 'one thread' }
  },
}

export const core: Bench = {
  about: `The rules of an owner without log, codec and database. A whole life: submitted, admitted, started, succeeded, metered and rated, each fact folded, after so many jobs before it, of one tenant and of 10,000; ${jobsMeasured} jobs each. Memory: what the state of a partition takes after the garbage is collected.`,
  limits:
    'One thread, no garbage but its own. Jobs are a tenth of a second apart, so that what an owner forgets after a day or two it does not forget here before the end; where it says so they are a second apart, so that it does.',
  async run() {
    warmUp()
    return { rows: [...lives(1), ...lives(10_000), ...(await memory())], setting: 'one thread', rounds: 1 }
  },
}

function admittedUnder(caps: number): number {
  const world = new World(1, caps)
  for (let n = 0; n < jobsMeasured; n++) world.admit(n)
  return timed(() => {
    for (let n = jobsMeasured; n < 2 * jobsMeasured; n++) world.admit(n)
  })
}

function lives(tenantCount: number): Row[] {
  const world = new World(tenantCount, 2)
  const of = tenantCount === 1 ? 'one tenant' : `${tenantCount.toLocaleString('en')} tenants`
  const found: number[] = []
  let done = 0
  for (const size of sizes) {
    for (; done < size; done++) world.live(done)
    found.push(
      timed(() => {
        for (const end = done + jobsMeasured; done < end; done++) world.live(done)
      }),
    )
  }
  const rows = sizes.map(
    (size, index): Row => ({
      what: `a whole life after ${size.toLocaleString('en')} jobs, ${of}`,
      unit: 'µs',
      ours: [found[index] ?? Number.NaN],
    }),
  )
  const slope: Row = {
    what: `added by ten times the jobs, ${of}`,
    unit: 'µs',
    ours: slopeOf(sizes.map(Math.log10), found),
    aim: '0 in the interval',
  }
  return [...rows, slope]
}

async function memory(): Promise<Row[]> {
  const rows: Row[] = []
  const note = (what: string, unit: Row['unit'], value: number) => rows.push({ what, unit, ours: [value] })
  const before = await usedBytes()
  const opened = new World(1, 2)
  let done = 0
  for (const count of openCounts) {
    for (; done < count; done++) opened.admit(done)
    note(
      `memory of an open job, of ${count.toLocaleString('en')}`,
      'bytes a job',
      ((await usedBytes()) - before) / count,
    )
  }
  const past = new World(1, 2, { jobGapMs: 1_000 })
  const fresh = await usedBytes()
  done = 0
  for (const count of pastCounts) {
    for (; done < count; done++) past.live(done)
    const takes = ((await usedBytes()) - fresh) / 2 ** 20
    note(`memory after ${count.toLocaleString('en')} ended jobs, a second apart`, 'MiB', takes)
  }
  // Neither may be collected before it is measured.
  if (opened.openJobs !== openCounts.at(-1) || past.openJobs !== 0)
    throw new Error('The jobs are not as they should be.')
  return rows
}

/** On the heap and in arrays beside it, without garbage. */
async function usedBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  // Arrays outside the heap are let go of by tasks and threads, some time after the collector has found them.
  for (let time = 0; time < 3; time++) {
    collect()
    await sleep(settleMs)
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Microseconds a job. */
function timed(run: () => void): number {
  const since = performance.now()
  run()
  return ((performance.now() - since) * 1_000) / jobsMeasured
}
