/** From the death of the owner to the first job that the next one has ended. */
import { Pool } from 'pg'
import { jobClient } from '../bin/demo/job-client.ts'
import { onKafka } from './on-kafka.ts'
import type { Bench, Row } from './report.ts'
import { jobsTogether, wantedJobs } from './work.ts'

const inFlight = 64
const historyJobs = 20_000

export const restart: Bench = {
  about: `From kill -9 of the only process to the end of the first job after it, with ${historyJobs} jobs of history: with the last snapshot, and with none, when the owner folds every fact there is.`,
  limits:
    'Includes the start of the process, more than half a second, and the wait until the group gives the partitions of the dead process to the new one. All jobs are of one tenant.',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 2 * inFlight }, async ({ stack, client, token, crash, setting }) => {
      const pool = new Pool({ connectionString: stack.environment.PF3_POSTGRES_URL, max: 1 })
      try {
        await jobsTogether(client, token, 'history', historyJobs, inFlight)
        const snapshot: Row = { what: 'with a snapshot', unit: 's', ours: [] }
        const none: Row = { what: 'without any', unit: 's', ours: [] }
        for (let round = 0; round < rounds; round++) {
          for (const row of [snapshot, none]) {
            if (row === none) await pool.query('DELETE FROM owner_snapshot')
            const since = performance.now()
            await crash()
            const [wanted] = wantedJobs(token, `${row.what}-${round}`, 1)
            if (wanted) await jobClient(client).run(wanted)
            row.ours.push((performance.now() - since) / 1_000)
            // One more start, which is stopped by the next crash: until then a snapshot is taken in good order.
            if (row === none) await jobsTogether(client, token, `again-${round}`, 4_000, inFlight)
          }
        }
        return { rows: [snapshot, none], setting }
      } finally {
        await pool.end()
      }
    }),
}
