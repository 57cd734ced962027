import { describe, expect, test } from 'vitest'
import type { CallOutcome } from '../capabilities/index.ts'
import { noTokens } from '../capabilities/index.ts'
import { systemClock } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { FactStream } from '../schemas/streams.ts'
import { cap, local, submit } from './testing/given.ts'
import {
  changeTenures,
  checkHistory,
  ids,
  jobLife,
  rated,
  tally,
  testCodec,
  unreadable,
  type World,
  world,
} from './testing/world.ts'

const usage = { ...noTokens, inputUncachedTokens: 7n, source: 'counted' as const }

/** By commit what was in it, from now on; and of which streams it was said before. */
function watchCommits({ log }: World) {
  const commits: string[][] = []
  const announced: FactStream[][] = []
  changeTenures(log, (tenure) => {
    const commit = tenure.commit
    tenure.commit = (facts, intakeOffset) => {
      commits.push(facts.map(({ value }) => testCodec.decode(value).type))
      return commit(facts, intakeOffset)
    }
    tenure.announce = (streams) => void announced.push([...streams])
  })
  return { commits, announced }
}

describe('the owner', () => {
  test.each([
    ['local', [jobLife]],
    ['remote', [jobLife.slice(0, 3), jobLife.slice(3)]],
  ] as const)(
    'leads a job from request to charge, in order: by a %s provider in these commits',
    async (pool, wanted) => {
      const nowMs = Date.now()
      // Time stands still: however slow the machine, nothing takes longer than a commit waits.
      const w = world({ pool, clock: { ...systemClock, nowMs: () => nowMs } })
      const { commits, announced } = watchCommits(w)
      const owner = w.start()
      await w.begin()
      await w.ask(submit('job-1'))
      const facts = await w.until(rated(1))
      await owner.end()
      expect(facts.slice(2).map((f) => f.type)).toEqual(jobLife)
      expect(commits.filter((types) => types.some((type) => jobLife.includes(type)))).toEqual(wanted)
      expect(announced).toEqual(pool === 'local' ? [['jobs', 'usage', 'billing']] : [])
      const [submitted, admitted] = facts.slice(2)
      expect(submitted).toMatchObject({ causedBy: 'req_3', actor: 'token:t', correlationId: 'c_3', intakeOffset: 2n })
      expect(admitted?.occurredAt).toBe(submitted?.occurredAt)
      expect(facts.at(-1)).toMatchObject({
        type: 'JobRated',
        chargedPico: 1_000_000_000_000n + 8n * 1_000_000n,
        actor: 'owner',
        intakeOffset: null,
      })
      checkHistory(facts)
    },
  )

  test('an input that its process has just stored is not read from the vault; any other is', async () => {
    const inputs: unknown[] = []
    const handed = new Map([['p', new TextEncoder().encode('{"input":{"text":"fresh"},"params":{}}')]])
    const take = ({ ref }: { ref: string }) => {
      const content = handed.get(ref)
      handed.delete(ref)
      return content
    }
    const call = async ({ input }: { input: unknown }): Promise<CallOutcome> => {
      inputs.push(input)
      return { ok: true, result: { label: 'x' }, usage }
    }
    const kept: string[] = []
    const w = world({ call, fresh: { take, keep: ({ ref }) => void kept.push(ref) } })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('job-1'))
    await w.until(rated(1))
    await w.ask(submit('job-2'))
    const facts = await w.until(rated(2))
    await owner.end()
    expect(inputs).toEqual([{ text: 'fresh' }, { text: 'hello' }])
    expect(kept).toEqual(facts.flatMap((fact) => (fact.type === 'JobSucceeded' ? [fact.resultRef] : [])))
  })

  test('a thousand jobs at once against a cap of k: exactly k run', async () => {
    const w = world({ faults: { duplicateAppend: 0.3 } })
    const owner = w.start()
    await w.begin()
    await w.ask(cap('limit', { limit: 137n }))
    await Promise.all(ids(1_000).map((id) => w.ask(submit(id))))
    const facts = await w.until((all) => rated(137)(all) && all.filter((f) => f.type === 'JobRefused').length >= 863)
    await owner.end()
    checkHistory(facts)
    expect(tally(facts)).toMatchObject({
      JobSubmitted: 1_000,
      JobAdmitted: 137,
      JobRefused: 863,
      JobSucceeded: 137,
      JobRated: 137,
    })
  })

  test.each(['openJobsPerTenantMax', 'openJobsPerPartitionMax'])('has no more open jobs than %s', async (bound) => {
    const { promise, resolve } = Promise.withResolvers<CallOutcome>()
    const w = world({ call: () => promise, options: { [bound]: 2 } })
    const owner = w.start()
    await w.begin()
    await w.ask(...ids(3).map((id) => submit(id)))
    const full = await w.until((all) => all.some((f) => f.type === 'JobRefused'))
    expect(full.find((f) => f.type === 'JobRefused')).toMatchObject({ jobId: 'job-2', reason: 'queue_full' })
    resolve({ ok: true, result: { label: 'x' }, usage })
    await w.until(rated(2))
    await w.ask(submit('job-3'))
    const facts = await w.until(rated(3))
    await owner.end()
    checkHistory(facts)
    expect(tally(facts)).toMatchObject({ JobAdmitted: 3, JobRefused: 1, JobRated: 3 })
  })

  test('a call leaves only after the commit that says so', async () => {
    const w = world({ pool: 'remote', faults: { commitUnknownLost: 0.2, commitUnknownDurable: 0.2 } })
    const owner = w.start()
    await w.begin()
    await w.ask(...ids(40).map((id) => submit(id)))
    const facts = await w.until(rated(40))
    w.log.setFaults({ commitUnknownLost: 0, commitUnknownDurable: 0 })
    await owner.end()
    checkHistory(facts)
    const started = facts.flatMap((f) => (f.type === 'AttemptStarted' ? [f.attemptId] : []))
    expect(w.calls.filter((id) => !started.includes(id))).toEqual([])
    expect(new Set(w.calls).size).toBe(w.calls.length)
  })

  test('a local engine that takes longer holds no commit up, and its start is known', async () => {
    const { promise, resolve } = Promise.withResolvers<CallOutcome>()
    const w = world({ call: () => promise })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('job-1'))
    const known = await w.until((all) => all.some((fact) => fact.type === 'AttemptStarted'))
    expect(known.some((fact) => fact.type === 'JobSucceeded')).toBe(false)
    resolve({ ok: true, result: { label: 'x' }, usage })
    const facts = await w.until(rated(1))
    await owner.end()
    checkHistory(facts)
    expect(w.calls.length).toBe(1)
  })

  test('a start that was never committed is made again: the engine is asked twice, the tenant charged once', async () => {
    const w = world()
    const owner = w.start()
    await w.begin()
    w.log.setFaults({ commitUnknownLost: 1 })
    await w.ask(submit('job-1'))
    await expect.poll(() => w.problems.length).toBeGreaterThan(0)
    w.log.setFaults({ commitUnknownLost: 0 })
    const facts = await w.until(rated(1))
    await owner.end()
    checkHistory(facts)
    expect(w.calls.length).toBeGreaterThan(1)
    expect(new Set(w.calls).size, 'always the same attempt').toBe(1)
    expect(facts.slice(2).map(({ type }) => type)).toEqual(jobLife)
    const [ref] = facts.flatMap((f) => (f.type === 'JobSucceeded' ? [f.resultRef] : []))
    expect(w.vault.contents.has(ref ?? '')).toBe(true)
  })

  test.each([11, 12, 13, 14, 15, 16])(
    'loses nothing and charges nothing twice through every fault of the log, seed %i',
    async (seed) => {
      const w = world({
        seed,
        faults: {
          duplicateAppend: 0.2,
          appendLost: 0.1,
          appendUnacknowledged: 0.1,
          commitUnknownLost: 0.1,
          commitUnknownDurable: 0.1,
          delayMsMax: 3,
        },
      })
      const owner = w.start()
      await w.begin()
      await w.ask(cap('money', { metric: 'money', limit: 60_000_000_000_000n }))
      await Promise.all(ids(100).map((id) => w.ask(submit(id))))
      const facts = await w.until((all) => {
        const { JobRefused = 0, JobRated = 0 } = tally(all)
        return JobRefused + JobRated === 100
      })
      w.log.setFaults({ commitUnknownLost: 0, commitUnknownDurable: 0, delayMsMax: 0 })
      await owner.end()
      checkHistory(facts)
      expect(owner.health().phase).toBe('stopped')
    },
  )

  test('two owners of one partition: the first is fenced, stops, and leaves nothing behind', async () => {
    const w = world({ call: async () => new Promise(() => {}) })
    const first = w.start()
    await w.begin()
    await w.ask(submit('job-1'))
    await w.until((all) => all.some((f) => f.type === 'AttemptStarted'))
    const second = w.start()
    await w.until((all) => all.some((f) => f.type === 'AttemptFailed'))
    await w.ask(submit('job-2'))
    const facts = await w.until((all) => all.some((f) => f.type === 'AttemptStarted' && f.jobId === 'job-2'))
    await expect.poll(() => first.health().phase).toBe('stopped')
    expect(w.problems.filter((p) => p.isStopped)).toHaveLength(1)
    checkHistory(facts)
    expect(facts.find((f) => f.type === 'AttemptFailed')).toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      indeterminate: true,
    })
    await Promise.all([first.end(), second.end()])
  })

  test('goes on from a snapshot, and from the log alone when the snapshot is spoilt, with the same end', async () => {
    const w = world()
    const first = w.start({ snapshotEveryFacts: 20n })
    await w.begin()
    await w.ask(...ids(30).map((id) => submit(id)))
    await w.until(rated(30))
    await first.end()
    const kept = w.snapshots.kept.get(0) ?? []
    expect(kept.length).toBeGreaterThanOrEqual(1)

    const second = w.start()
    await w.ask(submit('job-a'))
    await w.until(rated(31))
    expect(second.health().restoredFacts).toBe(0)
    await second.end()

    for (const snapshot of w.snapshots.kept.get(0) ?? []) snapshot.body[9] = (snapshot.body[9] ?? 0) ^ 1
    const third = w.start()
    await w.ask(submit('job-b'), submit('job-3'))
    const facts = await w.until(rated(32))
    expect(third.health().restoredFacts).toBeGreaterThan(100)
    await third.end()
    checkHistory(facts)
    expect(tally(facts).JobSubmitted).toBe(32)
  })

  test('keeps a snapshot less often when it is large: no more than 200 bytes are written for a fact', async () => {
    const w = world()
    const saved: { seq: bigint; bytes: number }[] = []
    const { save } = w.snapshots
    w.snapshots.save = async (partition, snapshot) => {
      saved.push({ seq: snapshot.seq, bytes: snapshot.body.byteLength })
      await save(partition, snapshot)
    }
    const owner = w.start({ snapshotEveryFacts: 20n })
    await w.begin()
    for (let part = 1; part <= 8; part++) {
      await w.ask(...ids(100, `job-${part}`).map((id) => submit(id)))
      await w.until(rated(100 * part))
    }
    expect(saved.length).toBeGreaterThan(3)
    for (const [index, { bytes }] of saved.entries()) {
      const next = saved[index + 1]
      if (next) expect(Number(next.seq - (saved[index]?.seq ?? 0n))).toBeGreaterThanOrEqual(bytes / 200)
    }
    expect(Math.max(...saved.map(({ bytes }) => bytes)) / 200).toBeGreaterThan(60)
    await owner.end()
  })

  test('cancels a job that waits and one that runs; what was used is metered', async () => {
    const w = world({
      options: { limits: { places: { local: 1, remote: 1 }, attemptMsMax: 5_000, retryBaseMs: 1, retryMsMax: 5 } },
      call: (_, signal) =>
        new Promise<CallOutcome>((resolve) =>
          signal.addEventListener('abort', () => resolve({ ok: false, code: 'CANCELLED', usage })),
        ),
    })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('running'), submit('waiting'))
    await w.until((all) => all.some((f) => f.type === 'AttemptStarted'))
    await w.ask({ type: 'RequestCancel', jobId: 'waiting' }, { type: 'RequestCancel', jobId: 'running' })
    const facts = await w.until(rated(2))
    await owner.end()
    checkHistory(facts)
    const bills = facts.flatMap((f) => (f.type === 'JobRated' ? [[f.jobId, f.outcome, f.attempts, f.chargedPico]] : []))
    expect(bills).toEqual([
      ['waiting', 'cancelled', 0, 0n],
      ['running', 'cancelled', 1, 1_000_000_000_000n + 7_000_000n],
    ])
  })

  test('tries again what failed for now, and gives up after the last attempt', async () => {
    let calls = 0
    const w = world({
      call: async ({ jobId }) =>
        jobId === 'never' || calls++ < 2 ? { ok: false, code: 'PROVIDER_UNAVAILABLE' } : { ok: true, result: 1, usage },
    })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('late'))
    await w.until(rated(1))
    await w.ask(submit('never'))
    const facts = await w.until(rated(2))
    await owner.end()
    checkHistory(facts)
    expect(tally(facts)).toMatchObject({ AttemptStarted: 3 + 4, AttemptFailed: 2 + 4, JobSucceeded: 1, JobFailed: 1 })
    expect(facts.at(-1)).toMatchObject({ type: 'JobRated', outcome: 'failed', chargedPico: 0n, attempts: 4 })
  })

  test('more used than held is charged, told, and counted', async () => {
    const w = world({
      call: async () => ({
        ok: true,
        result: 1,
        usage: { ...noTokens, inputUncachedTokens: 90n, outputTokens: 15n, source: 'provider' },
      }),
    })
    const owner = w.start()
    await w.begin()
    await w.ask(cap('tokens', { metric: 'tokens', limit: 100n }), submit('job-1'), submit('job-2'))
    const facts = await w.until(rated(1))
    await owner.end()
    expect(facts.filter((f) => f.type === 'HoldExceeded')).toMatchObject([
      { metric: 'tokens', held: 100n, actual: 105n, excess: 5n },
      { metric: 'money', excess: 5_000_000n },
    ])
    expect(facts.find((f) => f.type === 'JobRefused')).toMatchObject({ jobId: 'job-2', reason: 'over_cap' })
  })

  test('a tenure that ends before it serves is released, and one that was fenced while it restored says so to the log', async () => {
    const w = world()
    const first = w.start()
    await w.begin()
    await first.end()
    const { acquire } = w.log
    const { load } = w.snapshots
    const did: string[] = []
    w.log.acquire = async (partition) => {
      const tenure = await acquire(partition)
      const { commit, release } = tenure
      tenure.commit = (facts, intakeOffset) => {
        did.push(`commit of ${facts.length}`)
        return commit(facts, intakeOffset)
      }
      tenure.release = () => {
        did.push('release')
        return release()
      }
      return tenure
    }
    w.snapshots.load = async () => {
      if (!did.includes('release')) throw new PlatformError('DATABASE_UNAVAILABLE')
      // Meanwhile another owner is given the partition, and decides.
      w.log.acquire = acquire
      w.snapshots.load = load
      const second = w.start()
      await w.ask(submit('job-1'))
      await w.until(rated(1))
      await second.end()
      return []
    }
    const late = w.start()
    await expect.poll(() => late.health().phase, { timeout: 10_000 }).toBe('stopped')
    expect(did).toEqual(['release', 'commit of 0', 'release'])
    expect(w.problems.filter(({ isStopped }) => isStopped)).toMatchObject([{ error: { code: 'LOG_FENCED' } }])
    await late.end()
  })

  test.each([
    ['are gone before they were taken', 'LOG_GAP'],
    ['lie damaged in the log', 'RECORD_DAMAGED'],
  ] as const)('requests that %s stop the partition', async (_, code) => {
    const w = world()
    const owner = w.start()
    await w.begin()
    w.log.readIntake = () => Promise.reject(new PlatformError(code, { problem: 'not to be had' }))
    await expect.poll(() => owner.health().phase, { timeout: 10_000 }).toBe('stopped')
    expect(w.problems.at(-1)).toMatchObject({ isStopped: true, error: { code } })
    await owner.end()
  })

  test('an owner that is told to stop while it restores settles and starts nothing', async () => {
    const never = Promise.withResolvers<CallOutcome>()
    const w = world({ pool: 'remote', call: () => never.promise, options: { drainMsMax: 1 } })
    const first = w.start()
    await w.begin()
    await w.ask(submit('running'))
    await w.until((all) => all.some(({ type }) => type === 'AttemptStarted'))
    await first.end()
    const before = await w.facts()
    const { load } = w.snapshots
    let second: ReturnType<typeof w.start> | undefined
    let ending: Promise<void> | undefined
    w.snapshots.load = (partition) => {
      ending ??= second?.end()
      return load(partition)
    }
    second = w.start()
    await expect.poll(() => second?.health().phase, { timeout: 10_000 }).toBe('stopped')
    await ending
    expect(await w.facts()).toEqual(before)
    expect(w.calls.length).toBe(1)
    expect(w.problems).toEqual([])
  })

  test('a request nobody can read is told and passed over; the next one is answered', async () => {
    const w = world()
    const owner = w.start()
    await w.begin()
    await w.log.append([{ key: 'harbor', value: unreadable }])
    await w.ask(submit('job-1'))
    await w.until(rated(1))
    await owner.end()
    expect(w.problems).toMatchObject([{ isStopped: false, doing: 'reading the request at intake offset 2' }])
  })

  test('a request that cannot be decided or written is refused in the log; the next one is answered', async () => {
    const w = world()
    const owner = w.start({
      routeFor(capability) {
        if (capability === 'poison') throw new RangeError('nobody thought of this')
        return [local]
      },
    })
    await w.begin()
    await w.ask(submit('job-1', { capability: 'poison' }), submit('job-2'))
    const facts = await w.until(rated(1))
    await owner.end()
    checkHistory(facts)
    expect(facts.find((f) => f.type === 'RequestRefused')).toMatchObject({
      requestType: 'SubmitJob',
      reason: 'request_invalid',
      causedBy: 'req_3',
    })
    expect(w.problems).toMatchObject([{ isStopped: false, doing: 'deciding SubmitJob at intake offset 2' }])
  })

  test('a request that its fold would not take is refused before it changes anything; the next one is answered', async () => {
    const w = world()
    const owner = w.start()
    await w.begin()
    await w.ask(submit('job-1', { priority: 9 }), submit('job-2'))
    const facts = await w.until(rated(1))
    await owner.end()
    checkHistory(facts)
    expect(facts.flatMap((fact) => ('jobId' in fact ? [fact.jobId] : []))).not.toContain('job-1')
    expect(tally(facts)).toMatchObject({ RequestRefused: 1, JobRated: 1 })
    expect(owner.health().phase).toBe('stopped')
  })

  test('a time zone or a date that is none is refused before it can hurt', async () => {
    const w = world()
    const owner = w.start()
    await w.begin()
    await w.ask(
      {
        type: 'RegisterTenant',
        registeredTenantId: 'elsewhere',
        level: 'client',
        parentId: 'platform',
        name: 'E',
        currency: 'USD',
        timeZone: 'Mars/Olympus',
      },
      cap('anchored', { anchorDate: '2026-02-30' }),
    )
    const facts = await w.until((all) => all.filter((f) => f.type === 'RequestRefused').length === 2)
    await owner.end()
    expect(facts.flatMap((f) => (f.type === 'RequestRefused' ? [f.reason] : []))).toEqual([
      'time_zone_invalid',
      'date_invalid',
    ])
  })

  test('stopping lets calls end, and starts none', async () => {
    const release: (() => void)[] = []
    const w = world({
      call: () => new Promise((resolve) => release.push(() => resolve({ ok: true, result: 1, usage }))),
    })
    const owner = w.start()
    await w.begin()
    await w.ask(submit('job-1'))
    await w.until((all) => all.some((f) => f.type === 'AttemptStarted'))
    const stopped = owner.end()
    await w.ask(submit('job-2'))
    for (const go of release) go()
    await stopped
    const facts = await w.facts()
    expect(tally(facts)).toMatchObject({ JobSucceeded: 1, JobRated: 1, JobSubmitted: 1 })
    const next = w.start()
    await w.until((all) => all.some((f) => f.type === 'AttemptStarted' && f.jobId === 'job-2'))
    for (const go of release) go()
    await w.until(rated(2))
    await next.end()
  })
})
