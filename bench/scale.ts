/** Whether a job costs more because there were others: the same load on one growing history, and among ever more tenants. */
import { Pool } from 'pg'
import { onKafka } from './on-kafka.ts'
import type { Bench, Row } from './report.ts'
import { slopeOf } from './slope.ts'
import { benchTenants, jobsInBatches, jobsTogether } from './work.ts'

const inFlight = 64
const jobsPerBlock = 2_000
/** Of another tenant: what a new process saves in its first ten thousands of jobs is not the history's. */
const warmUpJobs = 20_032
const histories = [10_000, 100_000, 1_000_000]
const blocksPerHistory = 8
/** The history between the blocks: many in a request, because there is so much of it. */
const filling = { inFlight: 1_024, batchSize: 64 }
const tenantCounts = [10, 100, 1_000, 10_000]
const blocksPerCount = 6

const listed = (counts: readonly number[]) => counts.map((count) => count.toLocaleString('en')).join(', ')

export const scale: Bench = {
  about: `Time per job of one tenant after a history of ${listed(histories)} jobs, ${inFlight} callers at once, ${blocksPerHistory} blocks of ${jobsPerBlock.toLocaleString('en')} jobs each. The history itself is sent in batches, ${filling.inFlight.toLocaleString('en')} jobs in flight; its rows have PostgreSQL's housekeeping in them, in proportion, and before the blocks begin PostgreSQL is let finish it (VACUUM, CHECKPOINT), so that they do not pay for the jobs before them. Then the same load spread evenly over ${listed(tenantCounts)} tenants in turn, each of which has had a job before. The slope is what ten times the history, or ten times the tenants, add to a job (least squares over the blocks, with its 95 % interval): they cost nothing when the interval has 0 in it.`,
  limits: `The service, its database and its broker share the machine, and what a disk or a neighbour does in the quarter of an hour between the first and the last history is in it.`,
  run: ({ brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async ({ stack, client, token, env, setting }) => {
      const run = async (of: string | readonly string[], name: string, count = jobsPerBlock): Promise<number> =>
        (await jobsTogether(client, of, name, count, inFlight)) / count
      const rootToken = env['PF3_ROOT_TOKEN'] ?? ''
      const [other = ''] = await benchTenants(client, rootToken, ['other'])
      await jobsInBatches(client, other, 'warm-up', warmUpJobs, filling)
      const rows: Row[] = []
      const after: number[] = []
      const sizes: number[] = []
      let jobs = 0
      for (const history of histories) {
        const missing = Math.floor((history - jobs) / filling.batchSize) * filling.batchSize
        const fillMs = await jobsInBatches(client, token, `history-${history}`, missing, filling)
        const what = `a job of the history, from ${jobs.toLocaleString('en')} to ${history.toLocaleString('en')}`
        rows.push({ what, unit: 'ms a job', ours: [fillMs / missing] })
        jobs += missing
        await finishHousekeeping(stack.environment.PF3_POSTGRES_URL)
        await run(token, `before-${history}`)
        jobs += jobsPerBlock
        const ours: number[] = []
        for (let block = 0; block < blocksPerHistory; block++) {
          sizes.push(Math.log10(jobs))
          ours.push(await run(token, `after-${history}-${block}`))
          jobs += jobsPerBlock
        }
        rows.push({ what: `a job after ${history.toLocaleString('en')} of its tenant`, unit: 'ms a job', ours })
        after.push(...ours)
      }
      rows.push(addedBy('ten times the history', sizes, after))
      const names = Array.from({ length: Math.max(...tenantCounts) }, (_, n) => `tenant-${n}`)
      const tokens = await benchTenants(client, rootToken, names)
      await run(tokens, 'warm-up-all', tokens.length)
      const blocks: { count: number; msPerJob: number }[] = []
      // In turn, so that what the machine does in these minutes comes to all of them.
      for (let block = 0; block < blocksPerCount; block++)
        for (const count of tenantCounts)
          blocks.push({ count, msPerJob: await run(tokens.slice(0, count), `among-${count}-${block}`) })
      const among = blocks.map(({ msPerJob }) => msPerJob)
      for (const tenants of tenantCounts) {
        const ours = blocks.filter(({ count }) => count === tenants).map(({ msPerJob }) => msPerJob)
        rows.push({ what: `a job among ${tenants.toLocaleString('en')} tenants`, unit: 'ms a job', ours })
      }
      const counts = blocks.map(({ count }) => Math.log10(count))
      rows.push(addedBy('ten times the tenants', counts, among))
      return { rows, raw: { after, among }, setting, rounds: 1 }
    }),
}

/** What the history has left PostgreSQL to do, at once and not beside the jobs that are measured. */
async function finishHousekeeping(connectionString: string): Promise<void> {
  const pool = new Pool({ connectionString, max: 1 })
  try {
    await pool.query('VACUUM ANALYZE')
    await pool.query('CHECKPOINT')
  } finally {
    await pool.end()
  }
}

const addedBy = (what: string, xs: readonly number[], ys: readonly number[]): Row => ({
  what: `added by ${what}`,
  unit: 'ms a job',
  ours: slopeOf(xs, ys),
  aim: '0 in the interval',
})
