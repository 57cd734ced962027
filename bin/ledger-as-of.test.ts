import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import { ledger } from '../projections/ledger/projection.ts'
import { beginPositions } from '../projections/positions.ts'
import { rated, ratedUntried, Stamp } from '../projections/testing/facts.ts'
import { openView, type View } from '../projections/testing/view.ts'
import type { FactBody } from '../schemas/events.generated.ts'
import { ledgerAsOf } from './ledger-as-of.ts'

let view: View
let stamp: Stamp
beforeAll(async () => {
  view = await openView(ledger)
  await view.asService((tx) => beginPositions(tx, [{ projection: ledger.name, version: ledger.version }], 2))
})
afterAll(() => view.close())
beforeEach(async () => {
  await view.clear()
  stamp = new Stamp()
})

/** The rows and where they bring the view, as its runner does; the other partition stays at zero. */
async function shown(...bodies: FactBody[]): Promise<void> {
  await view.take(...bodies.map((body) => stamp.fact('harbor', body)))
  await view.asService((tx) =>
    tx.query('UPDATE projection_position SET seq = $1 WHERE partition = 1', [String(stamp.seq)]),
  )
}

async function jobsAsOf(to: bigint, database: Database = view.database, viewWaitMs = 30_000): Promise<string[]> {
  const wish = { tenantId: 'harbor', partition: 1, period: '2026-11', to }
  const jobs = new Set<string>()
  for await (const { jobId } of ledgerAsOf({ database, clock: systemClock }, wish, viewWaitMs)) jobs.add(jobId)
  return [...jobs]
}

test('lines of jobs that were rated later are not of it, nor are lines of other periods and lines at zero', async () => {
  await shown(rated('a'), ratedUntried('b'), rated('c', { billingPeriod: '2026-12' }), rated('d'), rated('later'))
  expect(await jobsAsOf(4n)).toEqual(['a', 'd'])
  expect(await jobsAsOf(0n)).toEqual([])
})

test('a job that is rated while the pages are read is on none of them, and one that is not shown yet is waited for', async () => {
  await shown(...Array.from({ length: 501 }, (_, n) => rated(`early-${n}`)))
  let pages = 0
  const database: Database = {
    ...view.database,
    async asTenant(tenantId, run) {
      const page = await view.asTenant(tenantId, run)
      await shown(rated(`meanwhile-${++pages}`))
      return page
    },
  }
  const found = jobsAsOf(503n, database)
  await shown(rated('behind-1'), rated('behind-2'))
  const jobs = await found
  expect(pages).toBe(2)
  expect(jobs).toHaveLength(503)
  expect(jobs.slice(-2)).toEqual(['behind-1', 'behind-2'])
})

test('a ledger that stays behind is said to be, with what to do', async () => {
  await shown(rated('a'))
  await expect(jobsAsOf(2n, view.database, 50)).rejects.toThrow(
    /shows facts up to 1, of 2, after a wait of 0\.05 s.*role `projections` is running/,
  )
})
