/** Caps and holds against a naive model: it keeps the list of what happened and adds it up anew for every question. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noTokens } from '../../capabilities/capability.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { bookByHash } from '../directory/state.ts'
import { toEndedJob } from '../ended-job.ts'
import { type Decided, decideCancel, decideOutcome, decideStart, type ExecutionLimits } from '../execution/decide.ts'
import { fromSnapshot, toSnapshot } from '../partition-state.ts'
import { decideRating } from '../rating/decide.ts'
import { checkModel, command } from '../testing/commands.ts'
import { answerOf, cap, Scene, submit, tenantId } from '../testing/given.ts'
import { capsOf } from './state.ts'

type Metric = 'requests' | 'tokens' | 'money'
type Period = 'day' | 'week' | 'month' | 'total'
type Cap = { capId: string; metric: Metric; limit: bigint; period: Period; member: string | null; sort: string | null }
type Event =
  | { kind: 'set'; at: bigint; cap: Cap }
  | { kind: 'removed'; capId: string }
  | { kind: 'admitted'; at: bigint; jobId: string; member: string | null; sort: string; most: Record<Metric, bigint> }
  | { kind: 'ended'; jobId: string; used: Record<Metric, bigint> }
type Model = { events: Event[]; open: string[]; jobs: number }
type World = { scene: Scene }

const sorts = ['classify.category', 'generate.text']
const capIds = ['a', 'b', 'c']
const limits: ExecutionLimits = {
  places: { local: 1_000, remote: 1 },
  attemptMsMax: 1_000,
  retryBaseMs: 1,
  retryMsMax: 1,
}
/** The book of the tests: 1 USD a request, 1 USD a million tokens. */
const moneyFor = (tokens: bigint): bigint => 1_000_000_000_000n + tokens * 1_000_000n

/** First instant of the period in UTC that holds `at`; a total runs from when the cap began to count. */
function periodStart(period: Period, at: bigint, countsFrom: bigint): bigint {
  const date = new Date(Number(at / 1_000n))
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  const starts = {
    day: Date.UTC(year, month, day),
    week: Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7)),
    month: Date.UTC(year, month, 1),
  }
  return period === 'total' ? countsFrom : BigInt(starts[period]) * 1_000n
}

/** The cap as it stands, the index at which this life of it began, and when; undefined when it is not in force. */
function lifeOf(events: readonly Event[], capId: string): { cap: Cap; from: number; at: bigint } | undefined {
  let life: { cap: Cap; from: number; at: bigint } | undefined
  for (const [index, event] of events.entries()) {
    if (event.kind === 'removed' && event.capId === capId) life = undefined
    if (event.kind !== 'set' || event.cap.capId !== capId) continue
    const isSame = life && shapeOf(life.cap) === shapeOf(event.cap)
    life = life && isSame ? { ...life, cap: event.cap } : { cap: event.cap, from: index, at: event.at }
  }
  return life
}
/** All that decides whether counting goes on: everything but the limit. */
const shapeOf = ({ metric, period, member, sort }: Cap): string => JSON.stringify([metric, period, member, sort])

/** What is settled and held under a cap in the period that begins at `start`, added up from the beginning. */
function standingOf({ events }: Model, { cap, from, at }: NonNullable<ReturnType<typeof lifeOf>>, start: bigint) {
  const sum = { settled: 0n, held: 0n }
  for (const event of events.slice(from)) {
    if (event.kind !== 'admitted' || !applies(cap, event.member, event.sort)) continue
    if (periodStart(cap.period, event.at, at) !== start) continue
    const end = events.find((one) => one.kind === 'ended' && one.jobId === event.jobId)
    if (end?.kind === 'ended') sum.settled += end.used[cap.metric]
    else sum.held += event.most[cap.metric]
  }
  return sum
}

const applies = (cap: Cap, member: string | null, sort: string): boolean =>
  (cap.member === null || cap.member === member) && (cap.sort === null || cap.sort === sort)

/** Every cap in force has the standing that the list gives, and passes its limit only by what was told or taken back. */
function compare(model: Model, { scene }: World, excess: ReadonlyMap<string, Record<Metric, bigint>>): void {
  const { caps } = capsOf(scene.state.admission, tenantId)
  for (const capId of capIds) {
    const life = lifeOf(model.events, capId)
    const real = caps.get(capId)
    expect(real?.limit).toBe(life?.cap.limit)
    if (!life || !real) continue
    const now = periodStart(life.cap.period, scene.now, life.at)
    const starts = new Set([now, ...[...real.standings].filter(([, { held }]) => held > 0n).map(([start]) => start)])
    for (const start of starts) {
      const wanted = standingOf(model, life, start)
      expect({ capId, start, ...(real.standings.get(start) ?? { settled: 0n, held: 0n }) }).toEqual({
        capId,
        start,
        ...wanted,
      })
      const limitsSince = model.events
        .slice(life.from)
        .flatMap((event) => (event.kind === 'set' && event.cap.capId === capId ? [event.cap.limit] : []))
      const most = limitsSince.reduce((a, b) => (a > b ? a : b))
      const told = [...excess.values()].reduce((all, one) => all + one[life.cap.metric], 0n)
      expect(wanted.settled + wanted.held).toBeLessThanOrEqual(most + told)
    }
    const allHeld = [...real.standings.values()].reduce((all, { held }) => all + held, 0n)
    const open = model.events
      .slice(life.from)
      .filter((event) => event.kind === 'admitted' && model.open.includes(event.jobId))
      .filter((event) => event.kind === 'admitted' && applies(life.cap, event.member, event.sort))
    expect(allHeld).toBe(
      open.reduce((all, event) => all + (event.kind === 'admitted' ? event.most[life.cap.metric] : 0n), 0n),
    )
  }
}

/** Takes in an end with its rating, as the owner does, and gives the excess it told of. */
function finish(scene: Scene, jobId: string, decided: Decided): Record<Metric, bigint> {
  const job = scene.state.execution.jobs.get(jobId)
  const book = job && bookByHash(scene.directory, job.admitted.priceBookHash)
  if (!job || !book || !decided.ending) throw new Error(`${jobId} did not end`)
  const rating = decideRating(toEndedJob(job, decided.ending), book)
  scene.settle(decided)
  const told = { requests: 0n, tokens: 0n, money: 0n }
  for (const draft of rating) {
    const fact: Fact = scene.take(draft, draft.eventId)
    if (fact.type === 'HoldExceeded' && fact.metric !== 'unknown') told[fact.metric] += fact.excess
  }
  return told
}

/** Periods pass, and no job is given up by itself: a hundred years. */
const noDeadlineMs = 100n * 366n * 86_400_000n

function startAll(scene: Scene): void {
  for (;;) {
    const draft = decideStart(scene.state.execution, 'local', limits, { now: scene.now + 1n })?.facts[0]
    if (!draft) return
    scene.take(draft)
  }
}

const member = fc.constantFrom(null, 'ada', 'ben')
const wanted = fc.record({
  capId: fc.constantFrom(...capIds),
  metric: fc.constantFrom<Metric[]>('requests', 'tokens', 'money'),
  size: fc.nat(6),
  period: fc.constantFrom<Period[]>('day', 'week', 'month', 'total'),
  member,
  sort: fc.constantFrom(null, null, ...sorts),
})
/** About how much `size` jobs need. */
const limitFor = (metric: Metric, size: number): bigint =>
  BigInt(size) * { requests: 1n, tokens: 100n, money: moneyFor(100n) }[metric]

type Told = World & { excess: Map<string, Record<Metric, bigint>> }
const kinds = [
  command<Model, Told, Omit<Cap, 'limit'> & { size: number }>('set cap', wanted, (model, real, { size, ...drawn }) => {
    const limit = limitFor(drawn.metric, size)
    const at = real.scene.now + 1_000_000n
    const { capId, metric, period, member: scopeMemberId, sort: scopeCapability } = drawn
    real.scene.ask(cap(capId, { metric, limit, period, scopeMemberId, scopeCapability }))
    model.events.push({ kind: 'set', at, cap: { ...drawn, limit } })
  }),
  command<Model, Told, { capId: string; size: number }>(
    'change limit',
    fc.record({ capId: fc.constantFrom(...capIds), size: fc.nat(6) }),
    (model, real, { capId, size }) => {
      const life = lifeOf(model.events, capId)
      if (!life) return
      const { metric, period, member: scopeMemberId, sort: scopeCapability } = life.cap
      const limit = limitFor(metric, size)
      const at = real.scene.now + 1_000_000n
      real.scene.ask(cap(capId, { metric, limit, period, scopeMemberId, scopeCapability }))
      model.events.push({ kind: 'set', at, cap: { ...life.cap, limit } })
    },
  ),
  command<Model, Told, string>('remove cap', fc.constantFrom(...capIds), (model, real, capId) => {
    const [answer] = real.scene.ask({ type: 'RemoveCap', capId })
    expect(answer?.type).toBe(lifeOf(model.events, capId) ? 'CapRemoved' : 'RequestRefused')
    model.events.push({ kind: 'removed', capId })
  }),
  command<Model, Told, { tokens: bigint; member: string | null }>(
    'submit',
    fc.record({ tokens: fc.bigInt(0n, 200n), member }),
    (model, real, drawn) => {
      const jobId = `job-${model.jobs}`
      model.jobs += 1
      const at = real.scene.now + 1_000_000n
      const most = { requests: 1n, tokens: drawn.tokens, money: moneyFor(drawn.tokens) }
      const bounds = { inputTokensMax: drawn.tokens, outputTokensMax: 0n, deadlineMs: noDeadlineMs }
      const request = { memberId: drawn.member, ...bounds }
      const lives = capIds.flatMap((capId) => lifeOf(model.events, capId) ?? [])
      const looked = lives
        .filter((life) => applies(life.cap, drawn.member, 'classify.category'))
        .map((life) => {
          const start = periodStart(life.cap.period, at, life.at)
          return { ...life.cap, ...standingOf(model, life, start), start, needed: most[life.cap.metric] }
        })
      const tight = looked.find(({ settled, held, needed, limit }) => settled + held + needed > limit)
      const answer = answerOf(real.scene.ask(submit(jobId, request)))
      if (tight) {
        const free = tight.limit - tight.settled - tight.held
        expect(answer).toMatchObject({
          type: 'JobRefused',
          reason: 'over_cap',
          cap: { capId: tight.capId, limit: tight.limit, needed: tight.needed, free: free > 0n ? free : 0n },
        })
        return
      }
      expect(answer).toMatchObject({
        type: 'JobAdmitted',
        caps: looked.map(({ capId, metric, limit, settled, held, needed, start }) => ({
          capId,
          metric,
          limit,
          settledBefore: settled,
          heldBefore: held,
          held: needed,
          periodStart: start,
        })),
      })
      model.events.push({ kind: 'admitted', at, jobId, member: drawn.member, sort: 'classify.category', most })
      model.open.push(jobId)
    },
  ),
  command<Model, Told, { index: number; how: 'succeeded' | 'failed' | 'cancelled'; tokens: bigint | null }>(
    'end',
    fc.record({
      index: fc.nat(50),
      how: fc.constantFrom('succeeded', 'failed', 'cancelled'),
      tokens: fc.option(fc.bigInt(0n, 300n)),
    }),
    (model, { scene, excess }, { index, how, tokens }) => {
      const jobId = model.open[index % model.open.length] ?? ''
      const isWaiting = scene.state.execution.jobs.get(jobId)?.phase === 'queued'
      if (how !== 'cancelled') startAll(scene)
      const attemptId = scene.state.execution.jobs.get(jobId)?.attempt?.attemptId ?? ''
      if (how === 'cancelled' && !isWaiting) return
      const usage = tokens === null ? null : { ...noTokens, inputUncachedTokens: tokens, source: 'counted' as const }
      const known = usage ?? { ...noTokens, source: 'counted' as const }
      const call = { jobId, attemptId, durationMs: 1 }
      const moment = { now: scene.now + 1n, jitter: 0 }
      const { execution } = scene.state
      const failure = { ok: false, code: 'PROVIDER_REJECTED', canRetry: false, retryAfterMs: 0, usage } as const
      const result = { ref: 'r', bytes: 1, mac: 'm' }
      const decided =
        how === 'cancelled'
          ? decideCancel(execution, cancelRequest(jobId))
          : how === 'failed'
            ? decideOutcome(execution, { ...call, ...failure }, limits, moment)
            : decideOutcome(execution, { ...call, ok: true, result, usage: known }, limits, moment)
      excess.set(jobId, finish(scene, jobId, decided))
      const used = tokens ?? 0n
      model.open.splice(model.open.indexOf(jobId), 1)
      model.events.push({
        kind: 'ended',
        jobId,
        used: {
          requests: how === 'cancelled' ? 0n : 1n,
          tokens: how === 'cancelled' ? 0n : used,
          money: how === 'succeeded' ? moneyFor(used) : 0n,
        },
      })
    },
    (model) => model.open.length > 0,
  ),
  command<Model, Told, number>('wait hours', fc.integer({ min: 1, max: 800 }), (_, { scene }, hours) => {
    scene.now += BigInt(hours) * 3_600_000_000n
  }),
  command<Model, Told, null>('restore', fc.constant(null), (_, { scene }) => {
    const restored = fromSnapshot(toSnapshot(scene.state))
    expect(restored).toEqual(scene.state)
    Object.assign(scene.state, restored)
  }),
]

const cancelRequest = (jobId: string) =>
  ({
    type: 'RequestCancel',
    jobId,
    tenantId,
    requestId: 'r',
    requestedAt: 0n,
    actor: 'token:t',
    correlationId: 'c',
    directoryVersion: 0n,
    traceparent: null,
  }) as const

test('caps stand where the list of what happened says, through removals, periods, excess and restores', () => {
  const compared = kinds.map((kind) =>
    kind.map((one) => ({
      check: one.check,
      toString: () => one.toString(),
      run(model: Model, real: Told) {
        one.run(model, real)
        compare(model, real, real.excess)
      },
    })),
  )
  checkModel(() => ({ model: { events: [], open: [], jobs: 0 }, real: newWorld() }), compared, {
    runs: 60,
    commandsMax: 40,
  })
})

const newWorld = (): Told => {
  const scene = new Scene()
  return { scene, excess: new Map() }
}
