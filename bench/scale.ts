/** Whether a job costs more because there were others: the same load, again and again, on one growing history. */
import { onKafka } from './on-kafka.ts'
import type { Bench } from './report.ts'
import { slopeOf } from './slope.ts'
import { jobsTogether } from './work.ts'

const inFlight = 64
const warmUpJobs = 2_000
const blocks = 20
const jobsPerBlock = 2_000

export const scale: Bench = {
  about: `Time per job while one tenant's history grows from ${warmUpJobs} to ${warmUpJobs + blocks * jobsPerBlock} jobs; ${inFlight} callers at once. The slope is what ten times the history adds to a job (least squares over the blocks, with its 95 % interval): it costs nothing when the interval has 0 in it.`,
  limits: 'One tenant, one partition; the service, its database and its broker share the machine.',
  run: ({ brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async ({ client, token, setting }) => {
      await jobsTogether(client, token, 'warm-up', warmUpJobs, inFlight)
      const msPerJob: number[] = []
      for (let block = 0; block < blocks; block++)
        msPerJob.push((await jobsTogether(client, token, `block-${block}`, jobsPerBlock, inFlight)) / jobsPerBlock)
      const sizes = msPerJob.map((_, block) => Math.log10(warmUpJobs + (block + 0.5) * jobsPerBlock))
      return {
        rows: [
          { what: 'a job, first quarter of the blocks', unit: 'ms a job', ours: msPerJob.slice(0, blocks / 4) },
          { what: 'a job, last quarter of the blocks', unit: 'ms a job', ours: msPerJob.slice((-1 * blocks) / 4) },
          {
            what: 'added by ten times the history',
            unit: 'ms a job',
            ours: slopeOf(sizes, msPerJob),
            aim: '0 in the interval',
          },
        ],
        raw: { msPerJob },
        setting,
      }
    }),
}
