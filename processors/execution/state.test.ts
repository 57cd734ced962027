/** What execution remembers of open jobs, and that nothing of them stays when they are over. */
import { expect, test } from 'vitest'
import { noTokens } from '../../capabilities/capability.ts'
import { Scene, submit, tenantId } from '../testing/given.ts'
import {
  decideCancel,
  decideDeadline,
  decideOutcome,
  decideStart,
  type ExecutionLimits,
  type Outcome,
} from './decide.ts'
import { queueSize } from './fair-queue.ts'
import { type OpenJob, poolOf, stepFor } from './state.ts'

const limits: ExecutionLimits = {
  places: { local: 2, remote: 2 },
  attemptMsMax: 10_000,
  retryBaseMs: 1_000,
  retryMsMax: 1_000,
}
const local = { provider: 'local', model: 'a', keyOwner: 'platform', keyId: null, pool: 'local' } as const
const remote = { provider: 'local', model: 'b', keyOwner: 'platform', keyId: null, pool: 'remote' } as const

class Running extends Scene {
  submit(jobId: string, routeFor: () => (typeof local | typeof remote)[] = () => [local, remote]) {
    this.ask(submit(jobId), { routeFor })
  }
  start(pool: 'local' | 'remote') {
    const draft = decideStart(this.state.execution, pool, limits, { now: this.now + 1_000_000n })?.facts[0]
    if (draft) this.take(draft)
    return draft?.type === 'AttemptStarted' ? draft.jobId : undefined
  }
  job(jobId: string): OpenJob {
    const job = this.state.execution.jobs.get(jobId)
    if (!job) throw new Error(`no open job ${jobId}`)
    return job
  }
  end(jobId: string, isGood: boolean) {
    const attemptId = this.job(jobId).attempt?.attemptId ?? ''
    const about = { jobId, attemptId, durationMs: 5 }
    const usage = { ...noTokens, source: 'counted' as const }
    const outcome: Outcome = isGood
      ? { ...about, ok: true, result: { ref: 'r', bytes: 1, mac: 'm' }, usage }
      : { ...about, ok: false, code: 'PROVIDER_UNAVAILABLE', canRetry: true, retryAfterMs: 0, usage: null }
    this.settle(decideOutcome(this.state.execution, outcome, limits, { now: this.now, jitter: 1 }))
  }
  rate(jobId: string) {
    const { admitted } = this.job(jobId)
    this.take({
      type: 'JobRated',
      jobId,
      memberId: null,
      capability: admitted.capability,
      outcome: 'succeeded',
      attempts: 1,
      currency: 'USD',
      priceBookHash: admitted.priceBookHash,
      billingPeriod: admitted.billingPeriod,
      admittedAt: admitted.occurredAt,
      usageEventId: null,
      provider: null,
      model: null,
      keyOwner: null,
      chargedPico: 0n,
      providerCostPico: 0n,
      lines: [],
      heldPico: admitted.heldPico,
      settlements: [],
    })
  }
  /** Sizes of everything, and who has open jobs. */
  sizes() {
    const { submitted, jobs, queues, running, openByTenant } = this.state.execution
    return {
      submitted: submitted.size,
      jobs: jobs.size,
      queued: [queueSize(queues.local), queueSize(queues.remote)],
      running: { ...running },
      open: [...openByTenant],
    }
  }
}

const nothing = { submitted: 0, jobs: 0, queued: [0, 0], running: { local: 0, remote: 0 }, open: [] }

test('a job is open from its admission to its charge, counted for its tenant', () => {
  const scene = new Running()
  expect(scene.sizes()).toEqual(nothing)
  scene.submit('one')
  scene.submit('two')
  expect(scene.sizes()).toEqual({ ...nothing, jobs: 2, queued: [2, 0], open: [[tenantId, 2]] })
  expect(scene.start('local')).toBe('one')
  expect(scene.job('one').phase).toBe('running')
  expect(scene.sizes()).toMatchObject({ queued: [1, 0], running: { local: 1, remote: 0 } })
  scene.end('one', true)
  expect(scene.job('one').phase).toBe('ended')
  expect(scene.sizes()).toMatchObject({ jobs: 2, running: { local: 0, remote: 0 }, open: [[tenantId, 2]] })
  scene.rate('one')
  expect(scene.sizes()).toMatchObject({ jobs: 1, open: [[tenantId, 1]] })
  expect(scene.start('local')).toBe('two')
  scene.end('two', true)
  scene.rate('two')
  expect(scene.sizes()).toEqual(nothing)
})

test('a refused job leaves nothing', () => {
  const scene = new Running()
  scene.submit('nowhere', () => [])
  expect(scene.sizes()).toEqual(nothing)
})

test('a repeated attempt takes the next step of the route, in the pool of that step, and the first again after the last', () => {
  const scene = new Running()
  scene.submit('one')
  const job = scene.job('one')
  expect([1, 2, 3].map((attemptNo) => stepFor(job, attemptNo))).toEqual([local, remote, local])
  expect([1, 2, 3].map((attemptNo) => poolOf(job, attemptNo))).toEqual(['local', 'remote', 'local'])
  scene.start('local')
  scene.end('one', false)
  expect(scene.job('one').phase).toBe('queued')
  expect(scene.sizes()).toMatchObject({ queued: [0, 1], running: { local: 0, remote: 0 } })
  expect([scene.start('local'), scene.start('remote')]).toEqual([undefined, 'one'])
  expect(scene.sizes()).toMatchObject({ queued: [0, 0], running: { local: 0, remote: 1 } })
})

test('a job that is given up while it waits for its second attempt leaves the queue it waits in', () => {
  const scene = new Running()
  scene.submit('one')
  scene.start('local')
  scene.end('one', false)
  const { execution } = scene.state
  const request = { type: 'RequestCancel', jobId: 'one', tenantId, requestId: 'r', requestedAt: 0n, actor: 'token:t' }
  scene.settle(
    decideCancel(execution, {
      ...request,
      type: 'RequestCancel',
      correlationId: 'c',
      directoryVersion: 0n,
      traceparent: null,
    }),
  )
  expect(scene.sizes()).toMatchObject({ queued: [0, 0] })
  expect(scene.job('one').phase).toBe('ended')
})

test('a log that tells of a job which is not open, or was never submitted, is no log of this partition', () => {
  const scene = new Running()
  expect(() => scene.take({ type: 'CancelRequested', jobId: 'unknown' })).toThrow(
    /tells of job unknown, which is not open/,
  )
  const other = new Running()
  other.submit('one')
  const { admitted } = other.job('one')
  expect(() => scene.take({ ...admitted })).toThrow(/one was admitted but never submitted/)
  expect(() => stepFor({ ...other.job('one'), admitted: { ...admitted, route: [] } }, 1)).toThrow(/without a route/)
})

test('a deadline that has come ends a job that waits, and no other', () => {
  const scene = new Running()
  scene.submit('one')
  const { deadlineAt } = scene.job('one').admitted
  expect(decideDeadline(scene.job('one'), { now: deadlineAt - 1n })).toEqual({ facts: [] })
  expect(decideDeadline(scene.job('one'), { now: deadlineAt }).ending?.end).toMatchObject({ code: 'DEADLINE_PASSED' })
  scene.start('local')
  expect(decideDeadline(scene.job('one'), { now: deadlineAt + 1n })).toEqual({ facts: [] })
})
