/** What the runner must do besides, on every database, beside others and with one that fails; run by runner.test.ts and runner.pg.test.ts. */
import { describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { inProcessRelay, jobChangedTopic, type Relay } from '../../platform/relay/relay.ts'
import type { Projections } from '../runner.ts'
import { type History, history, partOf, seededRandom, writeHistory } from './history.ts'
import { faulty, type OpenedForTest, stage } from './stage.ts'

export function runnerContract(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    const on = stage(open)

    test('two processes race over the same partitions: every fact counts once', async () => {
      const past = history({ seed: 13, jobs: 120 })
      const other = await on.another()
      const never = () => undefined
      const [one, two] = [faulty(on.database, never), faulty(other, never)]
      const both = await Promise.all([
        on.start({ database: one.database, factsMax: 7, standBackMs: 0 }),
        on.start({ database: two.database, factsMax: 11, standBackMs: 0 }),
      ])
      await writeHistory(on.log, past, 60)
      await Promise.all(both.map((projections) => on.caughtUp(projections, past)))
      await on.expectViewsOf(past)
      expect(one.seen.rolledBack + two.seen.rolledBack, 'they did meet').toBeGreaterThan(5)
      expect(on.failures).toEqual([])
      await Promise.all(both.map((projections) => projections.stop()))
      await other.close()
    })

    test('while one process gets on with the views, another stands back, and takes over when that one has gone', async () => {
      const past = history({ seed: 16, jobs: 200 })
      const other = await on.another()
      const second = faulty(other, () => undefined)
      const heard = [new Set<string>(), new Set<string>()] as const
      const hearing = (of: Set<string>): Relay => ({ ...inProcessRelay(), publish: (topic) => void of.add(topic) })
      const [one, two] = await Promise.all([
        on.start({ factsMax: 5, relay: hearing(heard[0]) }),
        on.start({ database: second.database, factsMax: 5, relay: hearing(heard[1]) }),
      ])
      const half = partOf(past, 0, 400)
      await writeHistory(on.log, partOf(past, 0, 20), 20)
      // Who waits before a runner has seen where it stands, looks by itself.
      await Promise.all([one, two].map((projections) => on.caughtUp(projections, partOf(past, 0, 20))))
      await writeHistory(on.log, partOf(past, 20, 400), 20)
      await Promise.all([one, two].map((projections) => on.caughtUp(projections, half)))
      expect(second.seen.rolledBack, 'now and then it looks whether it is needed').toBeLessThan(20)
      // Those who wait are told in either process, whichever wrote the rows.
      const jobs = partOf(past, 20, 400)
        .byPartition.flat()
        .flatMap((fact) => ('jobId' in fact ? [jobChangedTopic(fact.tenantId, fact.jobId)] : []))
      for (const topics of heard) await expect.poll(() => jobs.filter((topic) => !topics.has(topic))).toEqual([])
      await one.stop()
      await writeHistory(on.log, partOf(past, 400), 20)
      await on.caughtUp(two, past)
      await on.expectViewsOf(past)
      await two.stop()
      await other.close()
    })

    test('who waits beside a runner that was held up is told of everything that another one has written meanwhile', async () => {
      const past = history({ seed: 18, jobs: 100 })
      const upTo = (end: number): History => ({
        ...past,
        byPartition: past.byPartition.map((all) => all.slice(0, end)),
      })
      const other = await on.another()
      const held = Promise.withResolvers<void>()
      let isHeld = false
      const database: Database = {
        ...other,
        asService: (run, options) =>
          (isHeld ? held.promise : Promise.resolve()).then(() => other.asService(run, options)),
      }
      const heard = new Set<string>()
      const relay: Relay = { ...inProcessRelay(), publish: (topic) => void heard.add(topic) }
      const slow = await on.start({ database, factsMax: 5, relay })
      await writeHistory(on.log, upTo(20), 20)
      await on.caughtUp(slow, upTo(20))
      isHeld = true
      const fast = await on.start()
      await writeHistory(on.log, { ...past, byPartition: past.byPartition.map((all) => all.slice(20)) }, 20)
      await on.caughtUp(fast, past)
      held.resolve()
      await on.caughtUp(slow, past)
      const changed = past.byPartition
        .flat()
        .flatMap((fact) => ('jobId' in fact ? [jobChangedTopic(fact.tenantId, fact.jobId)] : []))
      expect(changed.filter((topic) => !heard.has(topic))).toEqual([])
      await Promise.all([slow.stop(), fast.stop()])
      await other.close()
    })

    test('a transaction that dies before its commit, or whose commit is not reported, is neither lost nor done twice', async () => {
      const past = history({ seed: 14, jobs: 100 })
      const { fraction } = seededRandom(3)
      const broken = faulty(on.database, (transaction) => {
        if (transaction <= 3) return undefined // Start reads and makes positions first.
        const dice = fraction()
        return dice < 0.15 ? 'before commit' : dice < 0.3 ? 'after commit' : undefined
      })
      await writeHistory(on.log, past)
      const projections = await on.start({
        database: broken.database,
        factsMax: 40,
        clock: hurried,
      })
      await untilSeq(projections, past)
      await on.expectViewsOf(past)
      expect(broken.seen.failed).toBeGreaterThan(5)
      expect(on.failures.every((failure) => !failure.isStopped)).toBe(true)
    })

    /** Every wait is over at once. */
    const hurried: Clock = { ...systemClock, after: (_, run) => systemClock.after(1, run) }

    /** As `caughtUp`, for a clock on which every wait is over at once. */
    async function untilSeq(projections: Projections, { byPartition }: Pick<History, 'byPartition'>): Promise<void> {
      const isThere = () =>
        projections.health().every(({ partition, seq }) => seq === BigInt(byPartition[partition]?.length ?? 0))
      while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
}
