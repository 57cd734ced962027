/** What keeps the views must do, wherever it runs; run by runner.test.ts, runner.pg.test.ts and in-thread.pg.test.ts. */
import { describe, expect, test } from 'vitest'
import {
  answeredTopic,
  inProcessRelay,
  jobChangedTopic,
  jobEndedTopic,
  type Relay,
} from '../../platform/relay/relay.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { type Job, jobById, jobsById } from '../job-list/queries.ts'
import type { Projections } from '../runner.ts'
import { directoryVersion } from '../tenant-tree/queries.ts'
import { admitted, capSet, rated, refused, Stamp, started, submitted, succeeded } from './facts.ts'
import { history, recordOf, writeHistory } from './history.ts'
import { newLog, type OpenedForTest, someTenant, stage } from './stage.ts'

export function viewsContract(name: string, open: () => Promise<OpenedForTest>): void {
  describe(name, () => {
    const on = stage(open)

    test('a history comes out as in memory, from a log that reads short and fails now and then', async () => {
      on.log = newLog({ shortRead: 0.5, readFailed: 0.1, delayMsMax: 2 })
      const past = history({ seed: 11, jobs: 80 })
      const projections = await on.start({ factsMax: 37 })
      await writeHistory(on.log, past, 50)
      await projections.caughtUp(0, 60n)
      // How many reads a history takes is up to the machine: one in the middle must fail for certain.
      const before = on.failures.length
      on.log.setFaults({ readFailed: 1 })
      await expect.poll(() => on.failures.length, { timeout: 10_000 }).toBeGreaterThan(before)
      on.log.setFaults({ readFailed: 0.1 })
      await on.caughtUp(projections, past)
      await on.expectViewsOf(past)
      expect(projections.health()).toMatchObject(
        [0, 1].map((partition) => ({
          partition,
          phase: 'running',
          seq: BigInt(past.byPartition[partition]?.length ?? 0),
        })),
      )
      expect(on.failures.every((failure) => !failure.isStopped)).toBe(true)
    })

    test('goes on where the last process stopped, also one that was stopped half-way', async () => {
      const past = history({ seed: 12, jobs: 100 })
      await writeHistory(on.log, past)
      const first = await on.start({ factsMax: 20 })
      await first.caughtUp(0, 100n)
      await first.stop()
      const [half] = first.health()
      expect(half?.phase).toBe('stopped')
      const second = await on.start()
      await on.caughtUp(second, past)
      await on.expectViewsOf(past)
      await expect(first.caughtUp(0, 10n ** 9n)).rejects.toMatchObject({ code: 'NOT_READY' })
    })

    test('goes on from positions of a build that knew fewer streams', async () => {
      const past = history({ seed: 17, jobs: 60 })
      await writeHistory(on.log, past)
      const first = await on.start({ factsMax: 20 })
      await first.caughtUp(0, 60n)
      await first.stop()
      await on.database.asService((tx) =>
        tx.query("UPDATE projection_position SET offsets = offsets - 'transfers' - 'billing'"),
      )
      const second = await on.start()
      await on.caughtUp(second, past)
      await on.expectViewsOf(past)
      expect(on.failures).toEqual([])
    })

    describe('a fact that cannot be taken in', () => {
      const past = history({ seed: 15, jobs: 60 })
      const [first = [], second = []] = past.byPartition
      const poisonAt = Math.floor(first.length / 2)

      async function writeWith(poison: (good: Fact) => ReturnType<typeof recordOf>): Promise<void> {
        await writeHistory(on.log, { byPartition: [[], second] })
        const tenure = await on.log.acquire(0)
        await tenure.commit(
          first.map((fact, index) => (index === poisonAt - 1 ? poison(fact) : recordOf(fact))),
          0n,
        )
      }

      async function expectStoppedBefore(projections: Projections): Promise<void> {
        await projections.caughtUp(1, BigInt(second.length))
        await expect(projections.caughtUp(0, BigInt(first.length))).rejects.toMatchObject({ code: 'NOT_READY' })
        await on.expectViewsOf({ byPartition: [first.slice(0, poisonAt - 1), second] })
        const stops = on.failures.filter((failure) => failure.isStopped)
        expect(stops).toMatchObject([{ partition: 0, seq: BigInt(poisonAt) }])
        expect(stops[0]?.stream).toBeDefined()
        expect(stops[0]?.offset).toBeDefined()
        expect(projections.health()).toMatchObject([
          { phase: 'stopped', seq: BigInt(poisonAt - 1), stoppedAt: BigInt(poisonAt), problem: expect.any(String) },
          { phase: 'running', seq: BigInt(second.length) },
        ])
      }

      test('because it cannot be decoded: its partition stops before it, the other goes on', async () => {
        await writeWith((fact) => ({ ...recordOf(fact), value: Buffer.from('not an event') }))
        const projections = await on.start()
        await expectStoppedBefore(projections)
        await projections.stop()
        on.failures = []
        await expectStoppedBefore(await on.start()) // And again, at the same place, for a new process.
      })

      test('because it is another fact than its position promises', async () => {
        await writeWith((fact) => ({ ...recordOf({ ...fact, seq: 999n }), seq: fact.seq }))
        await expectStoppedBefore(await on.start())
      })

      test('because no row can come of it', async () => {
        await writeWith((fact) => ({
          ...recordOf({ ...fact, ...rated('never-submitted') }),
          stream: 'billing',
          seq: fact.seq,
        }))
        await expectStoppedBefore(await on.start())
      })

      test('because the database refuses its rows', async () => {
        // A constraint that the projection knows nothing of, as after a change made by hand.
        const isOfTenant = `tenant_id = '${first[poisonAt - 1]?.tenantId}'`
        for (const [table, isWrong] of [
          ['audit_trail', `fact_seq = ${poisonAt}`],
          ['job_trail', `facts ~ '(^|\\n)${poisonAt} '`],
        ])
          await on.database.asOwner((tx) =>
            tx.query(`ALTER TABLE ${table} ADD CONSTRAINT by_hand CHECK (NOT (${isOfTenant} AND ${isWrong}))`),
          )
        await writeHistory(on.log, { byPartition: past.byPartition })
        await expectStoppedBefore(await on.start())
      })
    })

    test('tells the relay what happened to a job, when an answer is readable, and of a job when its charge is', async () => {
      const stamp = new Stamp()
      const partition = 0
      const tenantId = someTenant()
      const heard: string[] = []
      const seen: unknown[] = []
      const real = inProcessRelay()
      const relay: Relay = {
        ...real,
        publish(topic, message) {
          heard.push(topic)
          real.publish(topic, message)
        },
      }
      real.listen(jobEndedTopic(tenantId, 'j1'), () =>
        seen.push(on.database.asService((tx) => jobById(tx, tenantId, 'j1'))),
      )
      const projections = await on.start({ relay, factsMax: 1 })
      const tenure = await on.log.acquire(partition)
      const asked = { causedBy: 'req-1', intakeOffset: 1n }
      const facts = [
        stamp.fact(tenantId, submitted('j1'), asked),
        stamp.fact(tenantId, admitted('j1'), asked),
        stamp.fact(tenantId, started('j1')),
        stamp.fact(tenantId, succeeded('j1')),
        stamp.fact(tenantId, rated('j1')),
        stamp.fact(tenantId, submitted('j2'), { causedBy: 'req-2', intakeOffset: 2n }),
        stamp.fact(tenantId, refused('j2'), { causedBy: 'req-2', intakeOffset: 2n }),
        stamp.fact(tenantId, capSet('c'), { causedBy: 'req-3', intakeOffset: 3n }),
      ]
      await tenure.commit(facts.map(recordOf), 0n)
      await projections.caughtUp(partition, 8n)
      const answered = (n: number) => answeredTopic(tenantId, `req-${n}`)
      const changed = (n: number) => jobChangedTopic(tenantId, `j${n}`)
      const ended = (n: number) => jobEndedTopic(tenantId, `j${n}`)
      expect(heard).toEqual([
        changed(1),
        changed(1),
        changed(1),
        changed(1),
        ...[changed(1), ended(1)],
        changed(2),
        ...[changed(2), ended(2)],
        answered(3),
      ])
      expect(await Promise.all(seen)).toMatchObject([{ status: 'succeeded', chargedPico: 230n }])
    })

    test('who waits for a job is handed what stands in the view, whatever it came to and however batches cut it', async () => {
      const past = history({ seed: 19, jobs: 150 })
      const told = new Map<string, Job | null>()
      const relay: Relay = {
        ...inProcessRelay(),
        publish: (topic, message) => void told.set(topic, message as Job | null),
      }
      const projections = await on.start({ relay, factsMax: 7 })
      await writeHistory(on.log, past)
      await on.caughtUp(projections, past)
      const settled = past.byPartition
        .flat()
        .flatMap((fact) => (fact.type === 'JobRated' || fact.type === 'JobRefused' ? [fact] : []))
      const shown = await on.database.asService((tx) => jobsById(tx, settled))
      expect(settled.map(({ tenantId, jobId }) => told.get(jobEndedTopic(tenantId, jobId)))).toEqual(shown)
      expect(new Set(shown.map((job) => job?.status))).toEqual(new Set(['succeeded', 'failed', 'refused', 'cancelled']))
      expect(JSON.stringify(shown.map((job) => job?.refusal && Object.keys(job.refusal.cap ?? {})))).toContain('capId')
      const others = [...told].filter(([topic]) => !topic.startsWith('["job-ended"'))
      expect(others.every(([, message]) => message === null)).toBe(true)
    })

    test('the directory version is what the views show of the directory', async () => {
      const past = history({ seed: 16, jobs: 80 })
      const projections = await on.start()
      expect(await on.database.asService(directoryVersion)).toBe(0n)
      await writeHistory(on.log, past)
      await on.caughtUp(projections, past)
      expect(await on.database.asService(directoryVersion)).toBe(await on.log.directoryEnd())
      expect(await on.log.directoryEnd()).toBeGreaterThan(4n)
    })

    test('waiting ends with an error when the time is over', async () => {
      const projections = await on.start()
      await expect(projections.caughtUp(0, 1n, 10)).rejects.toMatchObject({ code: 'NOT_READY' })
      await expect(projections.caughtUp(9, 1n)).rejects.toMatchObject({ code: 'INTERNAL' })
    })
  })
}
