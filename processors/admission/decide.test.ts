import { describe, expect, test } from 'vitest'
import { jobIdFrom } from '../../schemas/ids.ts'
import { answerOf, book, cap, Scene, submit, tenantId } from '../testing/given.ts'
import { answeredKeptMicros, answeredSlotMicros, isAnswered } from './answered.ts'
import { capIdsPerTenantMax, schedulingCostOf } from './decide.ts'
import { capsOf } from './state.ts'

const oneDollar = 1_000_000_000_000n
const month = { start: 1_793_491_200_000_000n, end: 1_796_083_200_000_000n } // November 2026, UTC
const typesOf = (drafts: { type: string }[]) => drafts.map((d) => d.type)

describe('a job', () => {
  test('is submitted and admitted, with everything the decision used', () => {
    const scene = new Scene()
    scene.ask(cap('month'))
    const drafts = scene.ask(submit('job-1'))
    expect(typesOf(drafts)).toEqual(['JobSubmitted', 'JobAdmitted'])
    expect(drafts[1]).toEqual({
      type: 'JobAdmitted',
      tenantId,
      jobId: 'job-1',
      memberId: null,
      capability: 'classify.category',
      priority: 3,
      requestsHeld: 1n,
      tokensHeld: 100n,
      heldPico: oneDollar + 100n * 1_000_000n,
      maxCharge: null,
      currency: 'USD',
      caps: [
        {
          capId: 'month',
          capVersion: 1n,
          periodStart: month.start,
          periodEnd: month.end,
          metric: 'requests',
          limit: 2n,
          settledBefore: 0n,
          heldBefore: 0n,
          held: 1n,
        },
      ],
      route: [{ provider: 'local', model: 'linear-1', keyOwner: 'platform', keyId: null, pool: 'local' }],
      priceBookHash: book.hash,
      billingPeriod: '2026-11',
      timeZone: 'UTC',
      directoryVersion: 2n,
      resourceHash: null,
      schedulingCost: 1n,
      schedulingWeight: 1,
      attemptsMax: 3,
      deadlineAt: scene.now - 1_000_000n + 60_000_000n,
    })
  })

  test('asked for again gets nothing: its answer stands', () => {
    const scene = new Scene()
    scene.ask(submit('job-1'))
    expect(scene.ask(submit('job-1'))).toEqual([])
  })

  test('of a key that another one was made for is refused, once, and the first answer stands', () => {
    const scene = new Scene()
    const [first, later, other] = [
      jobIdFrom(tenantId, 'k', 1),
      jobIdFrom(tenantId, 'k', 2),
      jobIdFrom(tenantId, 'l', 1),
    ]
    expect(typesOf(scene.ask(submit(first)))).toEqual(['JobSubmitted', 'JobAdmitted'])
    expect(answerOf(scene.ask(submit(later)))).toMatchObject({ type: 'JobRefused', jobId: later, reason: 'key_taken' })
    expect(scene.ask(submit(later))).toEqual([])
    expect(scene.ask(submit(first))).toEqual([])
    expect(typesOf(scene.ask(submit(other)))).toEqual(['JobSubmitted', 'JobAdmitted'])
  })

  test('is remembered for a day, and forgotten a slot later', () => {
    const scene = new Scene()
    scene.ask(submit('job-1'))
    scene.now += answeredKeptMicros
    scene.ask(submit('job-2'))
    expect(scene.ask(submit('job-1'))).toEqual([])
    scene.now += answeredSlotMicros
    scene.ask(submit('job-3'))
    expect(typesOf(scene.ask(submit('job-1')))).toEqual(['JobSubmitted', 'JobAdmitted'])
  })

  test.each([
    ['no_route', {}, { routeFor: () => [] }],
    ['queue_full', {}, { openJobsPerTenantMax: 0 }],
    ['queue_full', {}, { openJobsPerPartitionMax: 0 }],
    ['resource_unknown', { resourceId: 'nothing' }, {}],
    ['unpriced', { capability: 'generate.text' }, {}],
    ['over_max_charge', { maxCharge: oneDollar + 100n * 1_000_000n - 1n }, {}],
  ] as const)('is refused: %s', (reason, request, context) => {
    const refused = answerOf(new Scene().ask(submit('job-1', request), context))
    expect(refused).toMatchObject({ type: 'JobRefused', jobId: 'job-1', reason, cap: null })
  })

  test('at exactly its greatest charge is admitted', () => {
    const drafts = new Scene().ask(submit('job-1', { maxCharge: oneDollar + 100n * 1_000_000n }))
    expect(answerOf(drafts).type).toBe('JobAdmitted')
  })

  test('of a currency without a price book is unpriced, never free', () => {
    const scene = new Scene()
    scene.directory.tenants.set(tenantId, {
      level: 'client',
      parentId: 'platform',
      name: 'Harbor',
      currency: 'EUR',
      timeZone: 'UTC',
    })
    expect(answerOf(scene.ask(submit('job-1')))).toMatchObject({ type: 'JobRefused', reason: 'unpriced' })
  })
})

describe('a cap', () => {
  test('admits exactly as many as it allows, and the refusal says what is free and when it resets', () => {
    const scene = new Scene()
    scene.ask(cap('month', { limit: 2n }))
    for (const id of ['job-1', 'job-2']) expect(answerOf(scene.ask(submit(id))).type).toBe('JobAdmitted')
    expect(answerOf(scene.ask(submit('job-3')))).toEqual({
      type: 'JobRefused',
      tenantId,
      jobId: 'job-3',
      memberId: null,
      capability: 'classify.category',
      reason: 'over_cap',
      heldPico: null,
      directoryVersion: 2n,
      timeZone: 'UTC',
      priceBookHash: book.hash,
      cap: {
        capId: 'month',
        capVersion: 1n,
        metric: 'requests',
        limit: 2n,
        free: 0n,
        needed: 1n,
        periodStart: month.start,
        resetsAt: month.end,
      },
    })
  })

  test.each([
    ['money, one unit too little', { metric: 'money', limit: oneDollar + 100n * 1_000_000n - 1n }, 'JobRefused'],
    ['money, exactly enough', { metric: 'money', limit: oneDollar + 100n * 1_000_000n }, 'JobAdmitted'],
    ['tokens, one too few', { metric: 'tokens', limit: 99n }, 'JobRefused'],
    ['tokens, exactly enough', { metric: 'tokens', limit: 100n }, 'JobAdmitted'],
    ['nothing allowed', { limit: 0n }, 'JobRefused'],
    ['of another member', { limit: 0n, scopeMemberId: 'ana' }, 'JobAdmitted'],
    ['of another capability', { limit: 0n, scopeCapability: 'generate.text' }, 'JobAdmitted'],
    ['of this capability', { limit: 0n, scopeCapability: 'classify.category' }, 'JobRefused'],
  ] as const)('%s', (_, more, answer) => {
    const scene = new Scene()
    scene.ask(cap('one', more))
    expect(answerOf(scene.ask(submit('job-1'))).type).toBe(answer)
  })

  test('of a member counts only that member', () => {
    const scene = new Scene()
    scene.ask(cap('ana', { limit: 1n, scopeMemberId: 'ana' }))
    expect(answerOf(scene.ask(submit('job-1', { memberId: 'ana' }))).type).toBe('JobAdmitted')
    expect(answerOf(scene.ask(submit('job-2', { memberId: 'ben' }))).type).toBe('JobAdmitted')
    expect(answerOf(scene.ask(submit('job-3', { memberId: 'ana' })))).toMatchObject({ reason: 'over_cap' })
  })

  test('the first of several by id is named, and a refused job holds nothing under the others', () => {
    const scene = new Scene()
    scene.ask(cap('a-tokens', { metric: 'tokens', limit: 1_000n }))
    scene.ask(cap('b-requests', { limit: 0n }))
    scene.ask(cap('c-requests', { limit: 0n }))
    expect(answerOf(scene.ask(submit('job-1')))).toMatchObject({ reason: 'over_cap', cap: { capId: 'b-requests' } })
    expect(capsOf(scene.state.admission, tenantId).caps.get('a-tokens')?.standings.size).toBe(0)
  })

  test('lowered below what is held admits nothing more, and frees itself as holds settle', () => {
    const scene = new Scene()
    scene.ask(cap('month', { limit: 3n }))
    for (const id of ['job-1', 'job-2', 'job-3']) scene.ask(submit(id))
    expect(scene.ask(cap('month', { limit: 1n }))).toMatchObject([{ type: 'CapSet', version: 2n }])
    expect(answerOf(scene.ask(submit('job-4')))).toMatchObject({ cap: { limit: 1n, free: 0n, capVersion: 2n } })
    scene.ask(cap('month', { limit: 4n }))
    expect(answerOf(scene.ask(submit('job-5'))).type).toBe('JobAdmitted')
    expect(answerOf(scene.ask(submit('job-6'))).type).toBe('JobRefused')
  })

  test('keeps its count when only the limit changes, and begins anew when anything else does', () => {
    const scene = new Scene()
    const [first] = scene.ask(cap('month'))
    scene.ask(submit('job-1'))
    const [raised] = scene.ask(cap('month', { limit: 5n }))
    expect(raised).toMatchObject({ version: 2n, countsFrom: first?.type === 'CapSet' ? first.countsFrom : null })
    expect(capsOf(scene.state.admission, tenantId).caps.get('month')?.standings.get(month.start)).toEqual({
      settled: 0n,
      held: 1n,
    })
    scene.ask(cap('month', { limit: 5n, metric: 'tokens' }))
    expect(capsOf(scene.state.admission, tenantId).caps.get('month')?.standings.size).toBe(0)
  })

  test('set anew is not changed by holds of its earlier life', () => {
    const scene = new Scene()
    scene.ask(cap('month', { limit: 1n }))
    scene.ask(submit('job-1'))
    scene.ask({ type: 'RemoveCap', capId: 'month' })
    scene.ask(cap('month', { limit: 1n }))
    scene.ask(submit('job-2'))
    const held = {
      capId: 'month',
      capVersion: 1n,
      periodStart: month.start,
      metric: 'requests',
      held: 1n,
      settled: 0n,
    } as const
    scene.take({ type: 'JobCancelled', jobId: 'job-1', attempts: 0 })
    scene.take({
      type: 'JobRated',
      jobId: 'job-1',
      memberId: null,
      capability: 'classify.category',
      outcome: 'cancelled',
      attempts: 0,
      currency: 'USD',
      priceBookHash: book.hash,
      billingPeriod: '2026-11',
      admittedAt: 0n,
      usageEventId: null,
      provider: null,
      model: null,
      keyOwner: null,
      chargedPico: 0n,
      providerCostPico: null,
      lines: [],
      heldPico: 0n,
      settlements: [held],
    })
    expect(capsOf(scene.state.admission, tenantId).caps.get('month')?.standings.get(month.start)).toEqual({
      settled: 0n,
      held: 1n,
    })
    expect(answerOf(scene.ask(submit('job-3'))).type).toBe('JobRefused')
  })

  test("begins a new period at the tenant's own midnight", () => {
    const scene = new Scene('Africa/Lagos') // UTC+1: the day begins at 23:00 UTC
    scene.ask(cap('day', { period: 'day', limit: 1n }))
    scene.ask(submit('job-1'))
    expect(answerOf(scene.ask(submit('job-2'))).type).toBe('JobRefused')
    scene.now = 1_794_351_599_000_000n - 1_000_000n // decided at 22:59:59
    expect(answerOf(scene.ask(submit('job-3'))).type).toBe('JobRefused')
    scene.now = 1_794_351_600_000_000n - 1_000_000n // decided at 23:00:00
    expect(answerOf(scene.ask(submit('job-4')))).toMatchObject({ type: 'JobAdmitted', billingPeriod: '2026-11' })
  })

  test.each([['removed when it is not there', { type: 'RemoveCap', capId: 'x' }, 'cap_unknown']] as const)(
    '%s is refused',
    (_, request, reason) => {
      expect(new Scene().ask(request)).toMatchObject([{ type: 'RequestRefused', reason }])
    },
  )

  test('the hundred and first of a tenant is refused', () => {
    const scene = new Scene()
    for (let index = 0; index < 100; index++) scene.ask(cap(`cap-${index}`))
    expect(scene.ask(cap('one-more'))).toMatchObject([{ type: 'RequestRefused', reason: 'too_many' }])
  })

  test('is refused under an id of which there were too many before, and taken under one of them', () => {
    const scene = new Scene()
    const ids = Array.from({ length: capIdsPerTenantMax }, (_, n): [string, bigint] => [`c${n}`, 1n])
    scene.state.admission.tenants.set(tenantId, { caps: new Map(), versions: new Map(ids) })
    expect(scene.ask(cap('one-more'))).toMatchObject([{ type: 'RequestRefused', reason: 'too_many' }])
    expect(scene.ask(cap('c7'))).toMatchObject([{ type: 'CapSet', version: 2n }])
  })
})

describe('bad input to a cap', () => {
  test('an unknown tenant and a day that is not in the calendar are refused', () => {
    const refused = (reason: string) => [
      { type: 'RequestRefused', tenantId, requestType: 'SetCap', reason, subject: 'month' },
    ]
    expect(new Scene().ask(cap('month', { anchorDate: '2026-02-30' }))).toEqual(refused('date_invalid'))
    expect(new Scene().ask(cap('month', { anchorDate: '2026-02-28' }))).toMatchObject([{ type: 'CapSet' }])
    const strangers = new Scene()
    strangers.directory.tenants.delete(tenantId)
    expect(strangers.ask(cap('month'))).toEqual(refused('tenant_unknown'))
    expect(answerOf(strangers.ask(submit('job')))).toMatchObject({ reason: 'tenant_unknown', timeZone: null })
  })
})

test('of several caps that are too tight the first by id refuses, and holds stand in that order', () => {
  const scene = new Scene()
  for (const id of ['b', 'c', 'a']) scene.ask(cap(id, { limit: 1n }))
  const admitted = answerOf(scene.ask(submit('one')))
  if (admitted.type !== 'JobAdmitted') throw new Error('not admitted')
  expect(admitted.caps.map(({ capId }) => capId)).toEqual(['a', 'b', 'c'])
  expect(answerOf(scene.ask(submit('two')))).toMatchObject({ reason: 'over_cap', cap: { capId: 'a' } })
})

test('a job counts one per started 1,024 tokens in the queue, and the dearest as many as any may', () => {
  const costs = [0n, 1n, 1_024n, 1_025n, 2_048n, 64n * 1_024n, 64n * 1_024n + 1n, 10n ** 15n].map(schedulingCostOf)
  expect(costs).toEqual([1n, 1n, 1n, 2n, 2n, 64n, 64n, 64n])
})

test('a refusal for its price says what the job could have cost', () => {
  const scene = new Scene()
  expect(answerOf(scene.ask(submit('dear', { maxCharge: 1n })))).toMatchObject({
    reason: 'over_max_charge',
    heldPico: oneDollar + 100n * 1_000_000n,
  })
})

test('a request that was answered is not answered again, also when it changed only what is allowed', () => {
  const scene = new Scene()
  const fact = scene.take({
    type: 'CapRemoved',
    capId: 'x',
    version: 1n,
  })
  const known = (...facts: { causedBy: string }[]) =>
    facts.map(({ causedBy }) => isAnswered(scene.state.admission.answered, causedBy))
  expect(known(fact, { causedBy: 'other' })).toEqual([true, false])
  scene.now += answeredKeptMicros
  const second = scene.take({ type: 'CapRemoved', capId: 'y', version: 1n })
  expect(known(fact, second)).toEqual([true, true])
  scene.now += answeredSlotMicros
  const third = scene.take({ type: 'CapRemoved', capId: 'z', version: 1n })
  expect(known(fact, second, third)).toEqual([false, true, true])
})

test('a removed cap that is set again goes on in its versions, and periods without holds are let go', () => {
  const scene = new Scene()
  scene.ask(cap('day', { period: 'day' }))
  scene.ask({ type: 'RemoveCap', capId: 'day' })
  expect(scene.ask(cap('day', { period: 'day' }))).toMatchObject([{ version: 3n }])
  const standings = () => capsOf(scene.state.admission, tenantId).caps.get('day')?.standings.size
  scene.ask(submit('one'))
  expect(standings()).toBe(1)
  scene.now += 86_400_000_000n
  scene.ask(submit('two'))
  expect(standings()).toBe(2) // The first day's job still holds.
})

test.each([
  ['metric', { metric: 'tokens' }],
  ['period', { period: 'week' }],
  ['anchor', { anchorDate: '2026-01-05' }],
  ['member', { scopeMemberId: 'ada' }],
  ['capability', { scopeCapability: 'generate.text' }],
] as const)('a cap whose %s changes counts from nothing; one whose limit changes goes on', (_, change) => {
  const scene = new Scene()
  const [first] = scene.ask(cap('c'))
  const [same] = scene.ask(cap('c', { limit: 99n }))
  const [other] = scene.ask(cap('c', { limit: 99n, ...change }))
  const from = [first, same, other].map((fact) => (fact?.type === 'CapSet' ? fact.countsFrom : 0n))
  expect(from[1]).toBe(from[0])
  expect(from[2]).toBeGreaterThan(from[0] ?? 0n)
})
