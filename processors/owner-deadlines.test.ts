import { describe, expect, test } from 'vitest'
import type { CallOutcome } from '../capabilities/index.ts'
import { systemClock } from '../platform/clock.ts'
import { jumpingClock } from '../platform/testing/jumping-clock.ts'
import { submit } from './testing/given.ts'
import { changeTenures, checkHistory, ids, rated, tally, testCodec, world } from './testing/world.ts'

/** A call that goes on until it is given up. */
const untilAborted = (_: unknown, signal: AbortSignal): Promise<CallOutcome> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ok: false, code: 'CANCELLED' })))

describe('the owner', () => {
  test.each([0, 0.9])(
    'gives a job up at its deadline, waiting or running, though timers are %d ms early',
    async (earlyMs) => {
      const clock = jumpingClock({ earlyMs })
      const w = world({
        clock,
        options: { limits: { places: { local: 1, remote: 1 }, attemptMsMax: 5_000, retryBaseMs: 1, retryMsMax: 5 } },
        call: untilAborted,
      })
      const owner = w.start()
      await clock.run(w.begin())
      await clock.run(w.ask(submit('running', { deadlineMs: 500n }), submit('waiting', { deadlineMs: 30n })))
      const facts = await clock.run(w.until(rated(2)))
      await clock.run(owner.end())
      checkHistory(facts)
      expect(facts.flatMap((f) => (f.type === 'JobFailed' ? [[f.jobId, f.code]] : []))).toEqual([
        ['waiting', 'DEADLINE_PASSED'],
        ['running', 'DEADLINE_PASSED'],
      ])
    },
  )

  test('starts nothing past its deadline, however long it decides, and every other job all the same', async () => {
    let looks = 0
    // A millisecond passes with every look at the clock.
    const w = world({ clock: { ...systemClock, nowMs: () => systemClock.nowMs() + looks++ } })
    const owner = w.start()
    await w.begin()
    await w.ask(...ids(300).map((id, n) => submit(id, { deadlineMs: BigInt(n % 2 === 0 ? 300 + n : 600_000) })))
    const facts = await w.until(rated(300))
    await owner.end()
    checkHistory(facts)
    const deadlines = new Map(facts.flatMap((f) => (f.type === 'JobAdmitted' ? [[f.jobId, f.deadlineAt]] : [])))
    const late = facts.filter((f) => f.type === 'AttemptStarted' && f.occurredAt >= (deadlines.get(f.jobId) ?? 0n))
    expect(late).toEqual([])
    const ends = facts.flatMap((f) => (f.type === 'JobFailed' ? [f.code] : []))
    expect(new Set(ends)).toEqual(new Set(['DEADLINE_PASSED']))
    expect(tally(facts)).toMatchObject({ JobSucceeded: 300 - ends.length })
    expect(ends.length).toBeLessThanOrEqual(150)
  })

  test('ends however many jobs are too late at once a commit at a time, and what comes then is served', async () => {
    const jobs = 3_000
    let laterMs = 0
    const w = world({
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs },
      options: { limits: { places: { local: 1, remote: 1 }, attemptMsMax: 5_000, retryBaseMs: 2, retryMsMax: 20 } },
      pool: 'remote',
      call: untilAborted,
    })
    const first = w.start()
    await w.begin()
    await w.ask(...ids(jobs).map((id) => submit(id, { deadlineMs: 600_000n })))
    await w.until((all) => all.filter(({ type }) => type === 'JobAdmitted').length === jobs)
    await first.end()
    laterMs = 3_600_000
    const commits: number[] = []
    changeTenures(w.log, (tenure) => {
      const commit = tenure.commit
      tenure.commit = (facts, intakeOffset) => {
        commits.push(facts.length)
        return commit(facts, intakeOffset)
      }
    })
    const second = w.start()
    const facts = await w.until(rated(jobs))
    await second.end()
    checkHistory(facts)
    expect(tally(facts)).toMatchObject({ JobAdmitted: jobs, JobFailed: jobs, JobRated: jobs })
    expect(Math.max(...commits)).toBeLessThan(1_010)
  })

  test('ends jobs that are too late also while requests fill every commit', async () => {
    const late = 200
    const fresh = 6_000
    let laterMs = 0
    const w = world({
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs },
      options: {
        limits: { places: { local: 1, remote: 1 }, attemptMsMax: 5_000, retryBaseMs: 2, retryMsMax: 20 },
        requestsPerBatchMax: 1_000,
      },
      pool: 'remote',
      call: untilAborted,
    })
    const first = w.start()
    await w.begin()
    await w.ask(...ids(late, 'late').map((id) => submit(id, { deadlineMs: 60_000n })))
    await w.until((all) => all.filter(({ type }) => type === 'JobAdmitted').length === late)
    await first.end()
    await w.ask(...ids(fresh, 'fresh').map((id) => submit(id, { deadlineMs: 600_000n })))
    const ended: number[] = []
    changeTenures(w.log, (tenure) => {
      const commit = tenure.commit
      tenure.commit = (facts, intakeOffset) => {
        const types = facts.map(({ value }) => testCodec.decode(value).type)
        if (types.includes('JobAdmitted')) laterMs = 120_000 // From now on requests come all the time.
        ended.push(types.filter((type) => type === 'JobRated').length)
        return commit(facts, intakeOffset)
      }
    })
    const second = w.start()
    await w.until((all) => tally(all)['JobAdmitted'] === late + fresh && (tally(all)['JobRated'] ?? 0) >= late)
    await second.end()
    // All together, but the one that is called: its call ends by itself.
    expect(ended.find((count) => count > 0)).toBe(late - 1)
  })

  test('makes no call for a job whose deadline came while its start was committed', async () => {
    let laterMs = 0
    const input = new TextEncoder().encode('{"input":{"text":"fresh"},"params":{}}')
    const w = world({
      pool: 'remote',
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs },
      fresh: { take: () => input, keep: () => {} },
    })
    changeTenures(w.log, (tenure) => {
      const commit = tenure.commit
      tenure.commit = async (facts, intakeOffset) => {
        const ends = await commit(facts, intakeOffset)
        if (facts.some(({ value }) => testCodec.decode(value).type === 'AttemptStarted')) laterMs += 60_000
        return ends
      }
    })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('job-1', { deadlineMs: 30_000n }))
    const facts = await w.until(rated(1))
    await owner.end()
    checkHistory(facts)
    expect(w.calls).toEqual([])
    expect(facts.flatMap((f) => (f.type === 'JobFailed' ? [f.code] : []))).toEqual(['DEADLINE_PASSED'])
    expect(facts.at(-1)).toMatchObject({ type: 'JobRated', outcome: 'failed', attempts: 1, chargedPico: 0n })
  })
})
