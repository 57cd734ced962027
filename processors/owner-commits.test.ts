/** What the owner decides beside a commit that is under way: when it leaves, and what becomes of it when that one fails. */
import { describe, expect, test } from 'vitest'
import { noTokens } from '../capabilities/index.ts'
import { PlatformError } from '../platform/errors.ts'
import { cap, submit } from './testing/given.ts'
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
  type WorldOptions,
  world,
} from './testing/world.ts'

/** From `hold` on commits wait, each for its turn to be let go, or to fail with nothing written. */
function holdCommits({ log }: World) {
  const held: PromiseWithResolvers<void>[] = []
  const commits: string[][] = []
  let isHolding = false
  changeTenures(log, (tenure) => {
    const commit = tenure.commit
    tenure.commit = async (facts, intakeOffset) => {
      commits.push(facts.map(({ value }) => testCodec.decode(value).type))
      if (isHolding) {
        const turn = Promise.withResolvers<void>()
        held.push(turn)
        await turn.promise
      }
      return commit(facts, intakeOffset)
    }
  })
  return {
    /** What was in each. */
    commits,
    hold() {
      isHolding = true
    },
    /** Once so many have come since. */
    atCommit: (count: number) => expect.poll(() => held.length).toBe(count),
    letOneGo: () => held.shift()?.resolve(),
    failOneAndHoldNoMore() {
      isHolding = false
      held.shift()?.reject(new PlatformError('LOG_COMMIT_UNKNOWN', { partition: 0 }))
    },
    holdNoMore() {
      isHolding = false
      for (const { resolve } of held.splice(0)) resolve()
    },
  }
}

/** Until all that was asked before is decided, committed or not: what nobody can read is told when it is its turn. */
async function untilDecided({ log, problems }: World): Promise<void> {
  const told = problems.length
  await log.append([{ key: 'harbor', value: unreadable }])
  await expect.poll(() => problems.length).toBe(told + 1)
}

/** An owner whose commit of job-1 is held; `before`: what happens while none is. */
async function committingJob1({ before, ...options }: WorldOptions & { before?: (w: World) => Promise<unknown> } = {}) {
  const w = world(options)
  const gate = holdCommits(w)
  const owner = w.start()
  await w.begin()
  await before?.(w)
  gate.hold()
  await w.ask(submit('job-1'))
  await gate.atCommit(1)
  return { w, gate, owner }
}

describe('beside a commit', () => {
  test('what comes while a commit is under way is decided beside it, with local engines at work, and stands in the next one', async () => {
    const { w, gate, owner } = await committingJob1()
    await w.ask(submit('job-2'))
    await expect.poll(() => w.calls.length).toBe(2)
    expect(tally(await w.facts())).not.toHaveProperty('JobSubmitted')
    gate.holdNoMore()
    const facts = await w.until(rated(2))
    await owner.end()
    checkHistory(facts)
    expect(gate.commits.filter((types) => types.includes('JobSubmitted'))).toEqual([jobLife, jobLife])
    expect(facts.filter(({ type }) => type === 'JobRated')).toMatchObject([{ jobId: 'job-1' }, { jobId: 'job-2' }])
  })

  test('while a snapshot is being written, however long that takes, what comes is decided beside commits', async () => {
    const { w, gate, owner } = await committingJob1({
      options: { snapshotEveryFacts: 1n },
      async before(w) {
        w.snapshots.save = () => new Promise(() => {})
        for (const [jobs, prefix] of [
          [20, 'being written'],
          [40, 'due'],
        ] as const) {
          await w.ask(...ids(20, prefix).map((id) => submit(id)))
          await w.until(rated(jobs))
        }
      },
    })
    await w.ask(submit('job-2'))
    await expect.poll(() => w.calls.length).toBe(42)
    gate.holdNoMore()
    await w.until(rated(42))
    await owner.end()
  })

  test('a request that came again beside a commit, and led to nothing, is taken all the same', async () => {
    const w = world()
    const gate = holdCommits(w)
    const owner = w.start()
    await w.begin()
    gate.hold()
    const request = w.encode(cap('one'))
    await w.log.append([request])
    await gate.atCommit(1)
    await w.log.append([request])
    await untilDecided(w)
    gate.holdNoMore()
    await expect.poll(() => owner.health().intakeOffset).toBe(5n)
    await owner.end()
    expect(tally(await w.facts())).toMatchObject({ CapSet: 1 })
  })

  test('where other partitions wait for their turn, what comes waits for the next, and makes it larger', async () => {
    const { w, gate, owner } = await committingJob1({ othersWait: true })
    await w.ask(submit('job-2'), submit('job-3'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(w.calls.length).toBe(1)
    gate.holdNoMore()
    const facts = await w.until(rated(3))
    await owner.end()
    checkHistory(facts)
    expect(w.calls.length).toBe(3)
  })

  test('a call that was decided beside a commit leaves after its own, and not after that one', async () => {
    const { w, gate, owner } = await committingJob1({ pool: 'remote' })
    await w.ask(submit('job-2'))
    await untilDecided(w)
    expect(w.calls).toEqual([])
    gate.letOneGo()
    await gate.atCommit(1)
    expect(w.calls.length).toBe(1)
    gate.holdNoMore()
    const facts = await w.until(rated(2))
    await owner.end()
    checkHistory(facts)
    expect(w.calls).toEqual(facts.flatMap((fact) => (fact.type === 'AttemptStarted' ? [fact.attemptId] : [])))
  })

  test.each(['local', 'remote'] as const)(
    'a commit that fails takes with it what was decided beside it: all of it is decided again, once, by a %s provider',
    async (pool) => {
      const { w, gate, owner } = await committingJob1({
        pool,
        async before(w) {
          await w.ask(cap('one', { limit: 2n }))
          await w.until((all) => all.some(({ type }) => type === 'CapSet'))
        },
      })
      await w.ask(submit('job-2'))
      await untilDecided(w)
      expect(w.calls.length).toBe(pool === 'local' ? 2 : 0)
      gate.failOneAndHoldNoMore()
      await w.ask(submit('job-3'))
      const facts = await w.until((all) => rated(2)(all) && all.some(({ type }) => type === 'JobRefused'))
      await owner.end()
      checkHistory(facts)
      expect(w.problems.flatMap(({ doing, error }) => (doing === 'serving' ? [error] : []))).toMatchObject([
        { code: 'LOG_COMMIT_UNKNOWN' },
      ])
      expect(tally(facts)).toMatchObject({ JobSubmitted: 3, JobAdmitted: 2, JobRefused: 1, JobRated: 2 })
      if (pool === 'remote') expect(w.calls.length).toBe(2)
    },
  )

  test('a snapshot is kept while more comes without end, and never says more than the log', async () => {
    const w = world({ faults: { delayMsMax: 3 } })
    let committedSeq = 0n
    changeTenures(w.log, (tenure) => {
      const commit = tenure.commit
      tenure.commit = async (facts, intakeOffset) => {
        const ends = await commit(facts, intakeOffset)
        committedSeq = facts.at(-1)?.seq ?? committedSeq
        return ends
      }
    })
    const kept: { seq: bigint; committedSeq: bigint }[] = []
    const { save } = w.snapshots
    w.snapshots.save = (partition, snapshot) => {
      kept.push({ seq: snapshot.seq, committedSeq })
      return save(partition, snapshot)
    }
    const owner = w.start({ snapshotEveryFacts: 60n })
    await w.begin()
    for (const part of ids(40, 'part')) await w.ask(...ids(10, part).map((id) => submit(id)))
    await w.until(rated(400))
    const whileServing = [...kept]
    await owner.end()
    expect(whileServing.length).toBeGreaterThan(5)
    for (const { seq, committedSeq } of kept) expect(seq).toBe(committedSeq)
  })
})

/** Stops the owner while its commit is held, and lets that go. */
async function afterDrain({ w, gate, owner }: Awaited<ReturnType<typeof committingJob1>>) {
  const ended = owner.end()
  gate.holdNoMore()
  await ended
  const facts = await w.facts()
  checkHistory(facts)
  return facts
}

describe('stopping beside a commit', () => {
  test('a call that was decided beside the last commit leaves at the beginning of the drain, and its job ends', async () => {
    const w = world({ pool: 'remote' })
    const gate = holdCommits(w)
    const owner = w.start()
    await w.begin()
    gate.hold()
    await w.ask(cap('one'))
    await gate.atCommit(1)
    await w.ask(submit('job-1'))
    await untilDecided(w)
    const facts = await afterDrain({ w, gate, owner })
    expect(tally(facts)).toMatchObject({ AttemptStarted: 1, JobSucceeded: 1, JobRated: 1 })
  })

  test('a long call does not keep what was decided beside the last commit back until the drain is over', async () => {
    const { w, gate, owner } = await committingJob1({
      pool: 'remote',
      options: { drainMsMax: 1_000 },
      call: async ({ jobId }, signal) => {
        if (jobId === 'job-1') await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return { ok: true, result: 1, usage: { ...noTokens, source: 'counted' } }
      },
    })
    await w.ask(submit('job-2'))
    await untilDecided(w)
    const facts = await afterDrain({ w, gate, owner })
    expect(facts.filter(({ type }) => type === 'JobRated')).toMatchObject([{ jobId: 'job-2' }])
  })
})

test('a commit takes no request more once it has two megabytes, and the next one goes on with the rest', async () => {
  const w = world({ options: { requestsPerBatchMax: 200 } })
  const commits: number[] = []
  changeTenures(w.log, (tenure) => {
    const commit = tenure.commit
    tenure.commit = (facts, intakeOffset) => {
      commits.push(facts.reduce((sum, { value }) => sum + value.byteLength, 0))
      return commit(facts, intakeOffset)
    }
  })
  const named = (index: number) =>
    ({
      type: 'RegisterTenant',
      registeredTenantId: `tenant-${index}`,
      level: 'client',
      parentId: 'platform',
      name: 'x'.repeat(100_000),
      currency: 'USD',
      timeZone: 'UTC',
    }) as const
  const indexes = Array.from({ length: 100 }, (_, index) => index)
  await w.ask(...indexes.map(named))
  const owner = w.start()
  const facts = await w.until((all) => all.length === indexes.length)
  await owner.end()
  checkHistory(facts)
  expect(Math.max(...commits)).toBeLessThan(2 * 1024 * 1024 + 101_000)
  expect(facts.map((fact) => fact.type === 'TenantRegistered' && fact.registeredTenantId)).toEqual(
    indexes.map((index) => `tenant-${index}`),
  )
})
