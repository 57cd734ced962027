import { expect, test } from 'vitest'
import type { Clock } from '../../platform/clock.ts'
import { PlatformError } from '../../platform/errors.ts'
import { inProcessRelay, jobEndedTopic } from '../../platform/relay/relay.ts'
import type { Job } from '../../projections/job-list/queries.ts'
import type { FoundJob } from '../views.ts'
import { type Awaited, awaitEnds } from './await-ends.ts'

/** Jobs that end when they are told to, and how often each was looked at. */
function scene(signal = new AbortController().signal) {
  const relay = inProcessRelay()
  let nowMs = 0
  const naps: (() => void)[] = []
  const clock: Clock = {
    nowMs: () => nowMs,
    after(_, run) {
      naps.push(run)
      return () => {}
    },
  }
  const ended = new Set<string>()
  const looks: string[] = []
  let failsWith: Error | undefined
  const job = async ({ jobId }: { jobId: string }): Promise<FoundJob> => {
    looks.push(jobId)
    if (failsWith) throw failsWith
    // Only what tells whether it has ended.
    const found = { jobId, status: ended.has(jobId) ? 'refused' : 'running', ratedAt: null } as Job
    return { kind: 'job', job: found }
  }
  let rests = 0
  const wait = (jobs: Record<string, boolean>, whileSubmitted: (awaited: Awaited) => void = () => {}) =>
    awaitEnds('t', 60_000, { gone: signal, rest: () => rests++ }, { relay, clock, views: { job } }, async (awaited) => {
      for (const jobId of Object.keys(jobs)) awaited.expect(jobId)
      whileSubmitted(awaited)
      for (const [jobId, isNew] of Object.entries(jobs)) awaited.taken(jobId, isNew)
    })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    wait,
    settle,
    relay,
    looks,
    rests: () => rests,
    end: (jobId: string) => {
      ended.add(jobId)
      relay.publish(jobEndedTopic('t', jobId), null)
    },
    fail: (error: Error | undefined) => {
      failsWith = error
    },
    lose: (jobId: string) => void ended.add(jobId),
    async nap(ms: number) {
      nowMs += ms
      for (const run of naps.splice(0)) run()
      await settle()
    },
  }
}

test('it looks once at each, when the last has ended', async () => {
  const { wait, settle, end, looks, rests } = scene()
  const waiting = wait({ a: true, b: true, c: true })
  await settle()
  end('a')
  end('c')
  await settle()
  expect([looks, rests()]).toEqual([[], 1])
  end('b')
  expect([...(await waiting).keys()]).toEqual(['a', 'b', 'c'])
  expect(looks).toEqual(['a', 'b', 'c'])
})

test('who is told with the job itself does not look at it, also when it is told again without', async () => {
  const { wait, settle, relay, looks, end } = scene()
  const waiting = wait({ a: true, b: true })
  await settle()
  const job = { jobId: 'a', status: 'refused', ratedAt: null } as Job
  relay.publish(jobEndedTopic('t', 'a'), job)
  relay.publish(jobEndedTopic('t', 'a'), null)
  end('b')
  expect((await waiting).get('a')).toEqual({ kind: 'job', job })
  expect(looks).toEqual(['b'])
})

test('a job that is there under another name than was expected is waited for by that name', async () => {
  const { wait, settle, end, looks } = scene()
  const waiting = wait({ a: true }, ({ taken }) => taken('first', false))
  await settle()
  expect(looks).toEqual(['first', 'a'])
  end('first')
  end('a')
  expect([...(await waiting).keys()]).toEqual(['first', 'a'])
})

test('what ends while others are still submitted is not missed', async () => {
  const { wait, end, looks, rests } = scene()
  await wait({ a: true, b: true }, () => ['a', 'b'].forEach(end))
  expect([looks, rests()]).toEqual([['a', 'b'], 0])
})

test('a lost wake-up costs a look, and what has ended is not looked at again', async () => {
  const { wait, settle, nap, end, lose, looks } = scene()
  const waiting = wait({ a: true, b: true, c: true })
  await settle()
  lose('a')
  await nap(250)
  expect(looks).toEqual(['a', 'b', 'c'])
  end('b')
  end('c')
  await waiting
  expect(looks).toEqual(['a', 'b', 'c', 'b', 'c'])
})

test('jobs that may have ended before are looked at first, and without any it does not wait', async () => {
  const { wait, lose, looks } = scene()
  lose('a')
  await wait({ a: false })
  expect(looks).toEqual(['a'])
  expect((await wait({})).size).toBe(0)
})

test('it answers with what it finds when nobody waits any more', async () => {
  const leaving = new AbortController()
  const { wait, settle } = scene(leaving.signal)
  const waiting = wait({ a: true })
  await settle()
  leaving.abort()
  expect((await waiting).get('a')).toMatchObject({ kind: 'job', job: { status: 'running' } })
})

test('what was taken is answered also while nobody can look at it, and looked at when that is over', async () => {
  const { wait, settle, end, fail, nap } = scene()
  fail(new PlatformError('DATABASE_UNAVAILABLE'))
  const waiting = wait({ a: true, b: true })
  await settle()
  end('a')
  end('b')
  await settle()
  fail(undefined)
  await nap(250)
  expect([...(await waiting).keys()]).toEqual(['a', 'b'])
  fail(new PlatformError('LOG_BUSY'))
  const inVain = wait({ c: true })
  await settle()
  await nap(60_000)
  expect((await inVain).size).toBe(0)
  fail(new TypeError('a fault of ours'))
  const faulty = expect(wait({ d: false })).rejects.toThrow('a fault of ours')
  await settle()
  await faulty
})

test('of many jobs a thousand at most are looked at together', async () => {
  const { wait, settle, end, looks } = scene()
  const jobs = Object.fromEntries(Array.from({ length: 2_500 }, (_, n) => [`job-${n}`, true]))
  const waiting = wait(jobs)
  await settle()
  for (const jobId of Object.keys(jobs)) end(jobId)
  await Promise.resolve()
  await Promise.resolve()
  expect(looks.length).toBeLessThanOrEqual(1_000)
  expect((await waiting).size).toBe(2_500)
  expect(looks).toHaveLength(2_500)
})
