import { describe, expect, test } from 'vitest'
import { noTokens, type UsageReport } from '../../capabilities/capability.ts'
import { Scene, submit, tenantId } from '../testing/given.ts'
import {
  type Decided,
  decideCancel,
  decideDeadline,
  decideIndeterminate,
  decideOutcome,
  decideStart,
  type ExecutionLimits,
  type Outcome,
} from './decide.ts'
import type { OpenJob } from './state.ts'

const limits: ExecutionLimits = {
  places: { local: 2, remote: 1 },
  attemptMsMax: 10_000,
  retryBaseMs: 100,
  retryMsMax: 1_000,
}
const usage: UsageReport = { ...noTokens, inputUncachedTokens: 7n, source: 'counted' }
const result = { ref: 'res_1', bytes: 20, mac: 'mac' }

class Running extends Scene {
  start() {
    const draft = decideStart(this.state.execution, 'local', limits, { now: this.now + 1n })?.facts[0]
    if (draft) this.take(draft)
    return draft
  }
  job(jobId: string): OpenJob {
    const job = this.state.execution.jobs.get(jobId)
    if (!job) throw new Error(`no open job ${jobId}`)
    return job
  }
  outcome(jobId: string, more: Partial<Outcome & { ok: false }> | { ok: true } = {}, jitter = 0.5): Decided {
    const attemptId = this.job(jobId).attempt?.attemptId ?? 'none'
    const outcome: Outcome =
      'ok' in more && more.ok
        ? { jobId, attemptId, durationMs: 5, ok: true, result, usage }
        : {
            jobId,
            attemptId,
            durationMs: 5,
            ok: false,
            code: 'PROVIDER_UNAVAILABLE',
            canRetry: true,
            retryAfterMs: 0,
            usage: null,
            ...(more as object),
          }
    return decideOutcome(this.state.execution, outcome, limits, { now: this.now + 1n, jitter })
  }
  cancel(jobId: string, by = tenantId): Decided {
    const request = {
      type: 'RequestCancel',
      jobId,
      tenantId: by,
      requestId: 'r',
      requestedAt: 0n,
      actor: 'token:t',
      correlationId: 'c',
      directoryVersion: 0n,
      traceparent: null,
    } as const
    return decideCancel(this.state.execution, request)
  }
}

function running(...jobIds: string[]): Running {
  const scene = new Running()
  for (const jobId of jobIds) scene.ask(submit(jobId))
  for (const _ of jobIds) scene.start()
  return scene
}

describe('starting', () => {
  test('names attempt, step and deadline before the call', () => {
    const scene = new Running()
    scene.ask(submit('job-1'))
    expect(scene.start()).toMatchObject({
      type: 'AttemptStarted',
      tenantId,
      jobId: 'job-1',
      attemptNo: 1,
      provider: 'local',
      model: 'linear-1',
      keyOwner: 'platform',
      keyId: null,
      deadlineAt: scene.now - 1_000_000n + 1n + 10_000_000n,
    })
  })

  test('stops when the places are taken, and goes on when one is free', () => {
    const scene = running('job-1', 'job-2', 'job-3')
    expect(scene.start()).toBeUndefined()
    scene.settle(scene.outcome('job-1', { ok: true }))
    expect(scene.start()).toMatchObject({ jobId: 'job-3' })
  })

  test("never calls past the job's own deadline", () => {
    const scene = new Running()
    scene.ask(submit('job-1', { deadlineMs: 3_000n }))
    const admittedAt = scene.job('job-1').admitted.occurredAt
    const draft = scene.start()
    expect(draft?.type === 'AttemptStarted' && draft.deadlineAt).toBeLessThanOrEqual(admittedAt + 10_000_000n)
  })
})

describe('a job whose deadline comes before its place', () => {
  const scene = new Running()
  scene.ask(submit('late', { deadlineMs: 3_000n }))
  scene.ask(submit('next'))
  const { deadlineAt } = scene.job('late').admitted
  const start = (now: bigint) => decideStart(scene.state.execution, 'local', limits, { now })

  test('starts a moment before it', () =>
    expect(start(deadlineAt - 1n)).toMatchObject({ facts: [{ type: 'AttemptStarted', jobId: 'late', deadlineAt }] }))

  test('is given up from then on, and the next one has its turn', () => {
    const decided = start(deadlineAt)
    expect(decided).toMatchObject({
      job: { jobId: 'late' },
      facts: [],
      ending: { end: { type: 'JobFailed', jobId: 'late', code: 'DEADLINE_PASSED', attempts: 0 }, usage: null },
    })
    if (decided) scene.settle(decided)
    expect(start(deadlineAt)).toMatchObject({ facts: [{ type: 'AttemptStarted', jobId: 'next' }] })
  })
})

describe('an outcome', () => {
  test('that is a result ends the job with what the vault keeps', () => {
    const scene = running('job-1')
    expect(scene.outcome('job-1', { ok: true })).toMatchObject({
      facts: [],
      ending: {
        end: {
          type: 'JobSucceeded',
          jobId: 'job-1',
          attemptNo: 1,
          resultRef: 'res_1',
          resultBytes: 20n,
          resultMac: 'mac',
        },
        usage,
      },
    })
  })

  test('of a job that has ended, or of another attempt, changes nothing', () => {
    const scene = running('job-1')
    const late: Outcome = { jobId: 'job-1', attemptId: 'att_other', durationMs: 5, ok: true, result, usage }
    expect(decideOutcome(scene.state.execution, late, limits, { now: 0n, jitter: 0 })).toEqual({ facts: [] })
    const decided = scene.outcome('job-1', { ok: true })
    scene.settle(decided)
    expect(scene.outcome('job-1', { ok: true })).toEqual({ facts: [] })
  })

  test.each([
    [1, 0.5, 0, 50n],
    [1, 0, 0, 1n],
    [1, 0.5, 700, 700n],
  ] as const)(
    'that failed for now is tried again: attempt %i, jitter %d, asked to wait %i ms',
    (_, jitter, retryAfterMs, waitMs) => {
      const scene = running('job-1')
      const decided = scene.outcome('job-1', { retryAfterMs }, jitter)
      expect(decided.ending).toBeUndefined()
      expect(decided.facts).toMatchObject([
        {
          type: 'AttemptFailed',
          attemptNo: 1,
          code: 'PROVIDER_UNAVAILABLE',
          indeterminate: false,
          retryAt: scene.now + 1n + waitMs * 1_000n,
        },
      ])
    },
  )

  test('that failed for good ends the job', () => {
    const scene = running('job-1')
    expect(scene.outcome('job-1', { code: 'PROVIDER_REJECTED', canRetry: false })).toMatchObject({
      facts: [{ type: 'AttemptFailed', retryAt: null }],
      ending: { end: { type: 'JobFailed', code: 'PROVIDER_REJECTED', attempts: 1 } },
    })
  })

  test('that fails up to the last attempt gives the job up, with twice the wait each time', () => {
    const scene = running('job-1')
    const waits: bigint[] = []
    for (let attempt = 1; attempt < 3; attempt++) {
      const decided = scene.outcome('job-1', {}, 1)
      const failed = decided.facts[0]
      if (failed?.type === 'AttemptFailed' && failed.retryAt !== null)
        waits.push((failed.retryAt - scene.now - 1n) / 1_000n)
      scene.settle(decided)
      expect(scene.start()).toMatchObject({ attemptNo: attempt + 1 })
    }
    expect(waits).toEqual([100n, 200n])
    expect(scene.outcome('job-1')).toMatchObject({
      facts: [{ retryAt: null }],
      ending: { end: { type: 'JobFailed', attempts: 3 } },
    })
  })

  test('that would be tried again after the deadline gives the job up', () => {
    const scene = new Running()
    scene.ask(submit('job-1', { deadlineMs: 2_500n }))
    scene.start()
    expect(scene.outcome('job-1', { retryAfterMs: 60_000 })).toMatchObject({
      facts: [{ retryAt: null }],
      ending: { end: { type: 'JobFailed' } },
    })
  })

  test('nobody knows is recorded as such, and repeated only where that is allowed', () => {
    const scene = running('job-1')
    const decide = (canRepeat: boolean) =>
      decideIndeterminate(scene.state.execution, scene.job('job-1'), canRepeat, limits, {
        now: scene.now + 1n,
        jitter: 0,
      })
    expect(decide(true)).toMatchObject({
      facts: [{ type: 'AttemptFailed', code: 'OUTCOME_UNKNOWN', indeterminate: true, retryAt: scene.now + 1_001n }],
    })
    expect(decide(false)).toMatchObject({
      facts: [{ indeterminate: true, retryAt: null }],
      ending: { end: { type: 'JobFailed', code: 'OUTCOME_UNKNOWN' } },
    })
  })
})

describe('a cancel', () => {
  test('of a job that waits ends it at once', () => {
    const scene = new Running()
    scene.ask(submit('job-1'))
    expect(scene.cancel('job-1')).toMatchObject({
      facts: [],
      ending: { end: { type: 'JobCancelled', attempts: 0 }, usage: null },
    })
    scene.settle(scene.cancel('job-1'))
    expect(scene.start()).toBeUndefined()
  })

  test('of a running job is recorded, and the job ends when its call does, with what it used', () => {
    const scene = running('job-1')
    expect(scene.cancel('job-1')).toEqual({ facts: [{ type: 'CancelRequested', tenantId, jobId: 'job-1' }] })
    scene.settle(scene.cancel('job-1'))
    expect(scene.cancel('job-1')).toEqual({ facts: [] })
    expect(scene.outcome('job-1', { ok: true })).toMatchObject({
      ending: { end: { type: 'JobCancelled', attempts: 1 }, usage },
    })
    expect(scene.outcome('job-1', { code: 'CANCELLED', canRetry: false })).toMatchObject({
      facts: [{ retryAt: null }],
      ending: { end: { type: 'JobCancelled' } },
    })
  })

  test('of a job that waits for another attempt ends it', () => {
    const scene = running('job-1')
    scene.settle(scene.outcome('job-1'))
    expect(scene.cancel('job-1')).toMatchObject({ ending: { end: { type: 'JobCancelled', attempts: 1 } } })
  })

  test('after the end, of an unknown job, or by another tenant changes nothing', () => {
    const scene = running('job-1', 'job-2')
    scene.settle(scene.outcome('job-1', { ok: true }))
    expect(scene.cancel('job-1')).toEqual({ facts: [] })
    expect(scene.cancel('job-9')).toEqual({ facts: [] })
    expect(scene.cancel('job-2', 'somebody-else')).toEqual({ facts: [] })
  })
})

test('a job that still waits at its deadline is given up, not before', () => {
  const scene = new Running()
  scene.ask(submit('job-1'))
  const job = scene.job('job-1')
  expect(decideDeadline(job, { now: job.admitted.deadlineAt - 1n })).toEqual({ facts: [] })
  expect(decideDeadline(job, { now: job.admitted.deadlineAt })).toMatchObject({
    ending: { end: { type: 'JobFailed', code: 'DEADLINE_PASSED', attempts: 0 } },
  })
})
