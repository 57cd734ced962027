import { expect, test } from 'vitest'
import type { Fact } from '../schemas/events.generated.ts'
import { type Decided, decideOutcome, decideStart, type ExecutionLimits } from './execution/decide.ts'
import { emptyPartitionState, evolve, fromSnapshot, toSnapshot } from './partition-state.ts'
import { cap, Scene, submit } from './testing/given.ts'

const limits: ExecutionLimits = {
  places: { local: 3, remote: 1 },
  attemptMsMax: 10_000,
  retryBaseMs: 100,
  retryMsMax: 1_000,
}

const hourMicros = 3_600_000_000n
/** The hours of a history pass, and no job is given up. */
const deadlineMs = 1_000n * 3_600_000n

/** A history with every kind of fact execution knows, decided by the real rules. */
function history(): { facts: Fact[]; scene: Scene } {
  const scene = new Scene()
  const facts: Fact[] = []
  const take = scene.take.bind(scene)
  scene.take = (body, eventId) => {
    const fact = take(body, eventId)
    facts.push(structuredClone(fact))
    return fact
  }
  scene.ask(cap('requests', { limit: 30n }))
  scene.ask(cap('tokens', { metric: 'tokens', limit: 2_500n, period: 'day' }))
  for (let index = 0; index < 40; index++) {
    scene.now += hourMicros // So that ids of answered requests stand in several slots, and the first are forgotten.
    scene.ask(submit(`job-${index}`, { priority: 1 + (index % 5), inputTokensMax: BigInt(10 + index * 3), deadlineMs }))
    const started = decideStart(scene.state.execution, 'local', limits, { now: scene.now + 1_000_000n })?.facts[0]
    if (started) scene.take(started)
    const open = [...scene.state.execution.jobs.values()].find((job) => job.attempt)
    if (index % 3 !== 0 || !open?.attempt) continue
    const {
      jobId,
      attempt: { attemptId },
    } = open
    const decided: Decided = decideOutcome(
      scene.state.execution,
      {
        jobId,
        attemptId,
        durationMs: 1,
        ok: false,
        code: 'PROVIDER_UNAVAILABLE',
        canRetry: index % 2 === 0,
        retryAfterMs: 0,
        usage: null,
      },
      limits,
      { now: scene.now + 1_000_000n, jitter: 0.5 },
    )
    scene.settle(decided)
  }
  return { facts, scene }
}

/** Facts of the scene's own beginning are not in `facts`. */
const begin = () => {
  const scene = new Scene()
  return scene.state
}

test('a snapshot at every fact, and the tail after it, give the state of the whole log', () => {
  const { facts, scene } = history()
  expect(facts.length).toBeGreaterThan(100)
  for (let cut = 0; cut <= facts.length; cut += 7) {
    const before = begin()
    for (const fact of facts.slice(0, cut)) evolve(before, structuredClone(fact))
    const restored = fromSnapshot(toSnapshot(before))
    expect(restored).toBeDefined()
    if (!restored) return
    for (const fact of facts.slice(cut)) evolve(restored, structuredClone(fact))
    expect(restored).toEqual(scene.state)
  }
})

test('two states restored from the same bytes go on without each other, and leave the bytes as they are', () => {
  const { facts } = history()
  const half = begin()
  const cut = facts.length >> 1
  for (const fact of facts.slice(0, cut)) evolve(half, structuredClone(fact))
  const snapshot = toSnapshot(half)
  // At the beginning of a buffer of its own, as a database gives it: from there arrays are read in place.
  const body = Uint8Array.from(snapshot.body)
  const [one, two] = [fromSnapshot({ ...snapshot, body }), fromSnapshot({ ...snapshot, body })]
  if (one) for (const fact of facts.slice(cut)) evolve(one, structuredClone(fact))
  expect(two).toEqual(half)
  expect(Buffer.compare(body, snapshot.body)).toBe(0)
})

test('a restored state starts the same jobs in the same order', () => {
  const { scene } = history()
  const restored = fromSnapshot(toSnapshot(scene.state))
  const order = (state: typeof scene.state) => {
    const places = { ...limits, places: { local: 1_000, remote: 1 } }
    const started: string[] = []
    for (;;) {
      const draft = decideStart(state.execution, 'local', places, { now: scene.now + 10_000_000n })?.facts[0]
      if (draft?.type !== 'AttemptStarted') return started
      started.push(draft.jobId)
      evolve(state, {
        ...draft,
        seq: state.seq + 1n,
        eventId: `e${started.length}`,
        occurredAt: scene.now + 10_000_000n,
        actor: 'owner',
        correlationId: 'c',
        causedBy: 'x',
        intakeOffset: null,
        traceparent: null,
      })
    }
  }
  const fromRestored = restored ? order(restored) : []
  expect(fromRestored.length).toBeGreaterThan(5)
  expect(fromRestored).toEqual(order(scene.state))
})

test('a gap is refused: state is never built over a missing fact', () => {
  const { facts } = history()
  const state = begin()
  const [first, , third] = facts
  if (!first || !third) throw new Error('history is too short')
  evolve(state, first)
  expect(() => evolve(state, third)).toThrow(/does not follow/)
  expect(() => evolve(state, first)).toThrow(/does not follow/)
})

test.each([
  [
    'damaged',
    (s: ReturnType<typeof toSnapshot>) => ({
      ...s,
      body: Buffer.concat([s.body.subarray(0, 40), Buffer.from([1]), s.body.subarray(41)]),
    }),
  ],
  ['of another format', (s: ReturnType<typeof toSnapshot>) => ({ ...s, format: 'older' })],
  ['of another position', (s: ReturnType<typeof toSnapshot>) => ({ ...s, seq: s.seq + 1n })],
] as const)('a snapshot that is %s is not used', (_, spoil) => {
  expect(fromSnapshot(spoil(toSnapshot(history().scene.state)))).toBeUndefined()
  expect(fromSnapshot(toSnapshot(emptyPartitionState()))).toBeDefined()
})
