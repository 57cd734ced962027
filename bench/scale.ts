/** Whether a job costs more because there were others: the same load on one growing history, and among ever more tenants. */
import { onKafka } from './on-kafka.ts'
import type { Bench, Row } from './report.ts'
import { slopeOf } from './slope.ts'
import { benchTenants, jobsTogether } from './work.ts'

const inFlight = 64
const warmUpJobs = 2_000
const blocks = 20
const jobsPerBlock = 2_000
const jobsPerHistoryBlock = 5_000
const tenantCounts = [10, 100, 1_000, 10_000]
const blocksPerCount = 4

export const scale: Bench = {
  about: `Time per job while one tenant's history grows from ${warmUpJobs.toLocaleString('en')} to ${(warmUpJobs + blocks * jobsPerHistoryBlock).toLocaleString('en')} jobs, ${inFlight} callers at once; then the same load spread evenly over ${tenantCounts.map((count) => count.toLocaleString('en')).join(', ')} tenants. The slope is what ten times the history, or ten times the tenants, add to a job (least squares over the blocks, with its 95 % interval): they cost nothing when the interval has 0 in it.`,
  limits: `The service, its database and its broker share the machine. A million jobs: [soak](#soak).`,
  run: ({ brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async ({ client, token, env, setting }) => {
      const run = async (of: string | readonly string[], name: string, count = jobsPerBlock): Promise<number> =>
        (await jobsTogether(client, of, name, count, inFlight)) / count
      await run(token, 'warm-up', warmUpJobs)
      const alone: number[] = []
      for (let block = 0; block < blocks; block++) alone.push(await run(token, `block-${block}`, jobsPerHistoryBlock))
      const sizes = alone.map((_, block) => Math.log10(warmUpJobs + (block + 0.5) * jobsPerHistoryBlock))

      const rows: Row[] = [
        {
          what: 'a job of one tenant, first quarter of the blocks',
          unit: 'ms a job',
          ours: alone.slice(0, blocks / 4),
        },
        { what: 'a job of one tenant, last quarter of the blocks', unit: 'ms a job', ours: alone.slice(-blocks / 4) },
        addedBy('ten times the history', sizes, alone),
      ]
      const tokens: string[] = []
      const among: number[] = []
      const counts: number[] = []
      for (const count of tenantCounts) {
        const names = Array.from({ length: count - tokens.length }, (_, n) => `tenant-${tokens.length + n}`)
        tokens.push(...(await benchTenants(client, env['PF3_ROOT_TOKEN'] ?? '', names)))
        await run(tokens, `warm-up-${count}`, jobsPerBlock / 2)
        const ours: number[] = []
        for (let block = 0; block < blocksPerCount; block++) ours.push(await run(tokens, `among-${count}-${block}`))
        rows.push({ what: `a job among ${count.toLocaleString('en')} tenants`, unit: 'ms a job', ours })
        among.push(...ours)
        counts.push(...ours.map(() => Math.log10(count)))
      }
      rows.push(addedBy('ten times the tenants', counts, among))
      return { rows, raw: { alone, among }, setting }
    }),
}

const addedBy = (what: string, xs: readonly number[], ys: readonly number[]): Row => ({
  what: `added by ${what}`,
  unit: 'ms a job',
  ours: slopeOf(xs, ys),
  aim: '0 in the interval',
})
