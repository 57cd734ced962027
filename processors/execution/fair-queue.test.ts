import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ageStepMicros,
  costMax,
  type Entry,
  emptyFairQueue,
  enqueue,
  type FairQueue,
  next,
  nextReadyAt,
  quantum,
  queueSize,
  remove,
  starvationBound,
  take,
} from './fair-queue.ts'

const entry = (tenantId: string, jobId: string, more: Partial<Entry> = {}): Entry => ({
  tenantId,
  jobId,
  cost: 1,
  priority: 3,
  weight: 1,
  enqueuedAt: 0n,
  readyAt: 0n,
  ...more,
})

/** Starts jobs until `count` are started or nobody is ready; the order of their ids. */
function drain(queue: FairQueue, count = Number.POSITIVE_INFINITY, now = 0n): string[] {
  const order: string[] = []
  while (order.length < count) {
    const first = next(queue, now)
    if (!first) break
    take(queue, first.jobId, now)
    order.push(first.jobId)
  }
  return order
}

function filled(...entries: Entry[]): FairQueue {
  const queue = emptyFairQueue()
  for (const one of entries) enqueue(queue, one)
  return queue
}

const jobs = (tenantId: string, count: number, more: Partial<Entry> = {}): Entry[] =>
  Array.from({ length: count }, (_, index) => entry(tenantId, `${tenantId}-${index}`, more))

describe('across tenants', () => {
  test('a tenant with one job starts within one turn of a tenant with thousands', () => {
    const queue = filled(...jobs('flood', 5_000), entry('small', 'urgent'))
    expect(drain(queue, quantum + 1)).toEqual([...jobs('flood', quantum).map((j) => j.jobId), 'urgent'])
  })

  test('places go by cost, not by number of jobs', () => {
    const queue = filled(...jobs('cheap', 400), ...jobs('dear', 400, { cost: 8 }))
    const started = drain(queue, 90)
    const dear = started.filter((id) => id.startsWith('dear')).length
    expect(dear * 8).toBe(started.length - dear) // 10 jobs of cost 8 beside 80 of cost 1
  })

  test('service is in proportion to weight while all have work', () => {
    const queue = filled(...jobs('heavy', 4_000, { weight: 3 }), ...jobs('light', 4_000))
    const started = drain(queue, 32 * quantum)
    expect(started.filter((id) => id.startsWith('heavy')).length).toBe(24 * quantum)
  })

  test('a tenant that comes back goes behind everybody who waits', () => {
    const queue = filled(entry('a', 'a-0'), entry('b', 'b-0'), entry('c', 'c-0'))
    expect(drain(queue, 1)).toEqual(['a-0'])
    enqueue(queue, entry('a', 'a-1'))
    expect(drain(queue)).toEqual(['b-0', 'c-0', 'a-1'])
  })

  test('what a tenant saved up lapses when it has no more jobs', () => {
    const queue = filled(entry('a', 'a-0'), ...jobs('b', 100))
    drain(queue, 1)
    enqueue(queue, entry('a', 'big', { cost: costMax }))
    const before = drain(queue).indexOf('big')
    expect(before).toBe((costMax / quantum - 1) * quantum + quantum) // a needs all its turns anew
  })
})

describe('within a tenant', () => {
  test('the more urgent job goes first, equal ones in order of arrival', () => {
    const queue = filled(
      entry('a', 'late', { priority: 5 }),
      entry('a', 'first'),
      entry('a', 'second'),
      entry('a', 'now', { priority: 1 }),
    )
    expect(drain(queue)).toEqual(['now', 'first', 'second', 'late'])
  })

  test('waiting makes up for priority, one step per age step', () => {
    const old = entry('a', 'old', { priority: 5 })
    const passes = entry('a', 'young', {
      priority: 1,
      enqueuedAt: 4n * ageStepMicros + 1n,
      readyAt: 4n * ageStepMicros + 1n,
    })
    expect(drain(filled(old, passes))).toEqual(['old', 'young'])
    const younger = { ...passes, enqueuedAt: 4n * ageStepMicros - 1n, readyAt: 4n * ageStepMicros - 1n }
    expect(drain(filled(old, younger))).toEqual(['young', 'old'])
  })

  test('a job that is tried again waits for its time, then goes first', () => {
    const queue = filled(entry('a', 'again', { readyAt: 500n }), entry('a', 'fresh'), entry('a', 'fresh-2'))
    expect(nextReadyAt(queue, 0n)).toBe(500n)
    expect(drain(queue, 1, 499n)).toEqual(['fresh'])
    expect(drain(queue, 2, 500n)).toEqual(['again', 'fresh-2'])
    expect(nextReadyAt(queue, 500n)).toBeUndefined()
  })
})

test('a removed job is never started, wherever it stood', () => {
  const queue = filled(...jobs('a', 4), ...jobs('b', 1))
  for (const id of ['a-2', 'a-0', 'b-0', 'nobody']) remove(queue, id)
  expect(queueSize(queue)).toBe(2)
  expect(drain(queue)).toEqual(['a-1', 'a-3'])
  expect(next(queue, 0n)).toBeUndefined()
})

test('a fact that names another job than the rule would still holds, and its tenant pays for it', () => {
  const queue = filled(...jobs('a', 20), ...jobs('b', 20))
  take(queue, 'b-7', 0n)
  expect(queueSize(queue)).toBe(39)
  expect(drain(queue).filter((id) => id === 'b-7')).toEqual([])
})

test('every queued job starts exactly once, and nobody waits longer than the starvation bound says', () => {
  const tenant = fc.record({
    weight: fc.integer({ min: 1, max: 4 }),
    costs: fc.array(fc.integer({ min: 1, max: costMax }), { minLength: 1, maxLength: 30 }),
  })
  const late = fc.array(fc.record({ at: fc.nat(60), tenant: fc.nat(7), cost: fc.integer({ min: 1, max: costMax }) }), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(fc.array(tenant, { minLength: 1, maxLength: 8 }), late, (tenants, arrivals) => {
      const queue = emptyFairQueue()
      const all: Entry[] = []
      const add = (index: number, cost: number) => {
        const weight = tenants[index]?.weight ?? 1
        const made = entry(`t${index}`, `t${index}-${all.length}`, { cost, weight })
        all.push(made)
        enqueue(queue, made)
      }
      tenants.forEach((t, index) => {
        for (const cost of t.costs) add(index, cost)
      })
      const startedIds = new Set<string>()
      const firstSince = new Map<string, { jobId: string; othersCost: number }>()
      for (let step = 0; ; step++) {
        for (const arrival of arrivals.filter((a) => a.at === step)) add(arrival.tenant % tenants.length, arrival.cost)
        for (const { tenantId, jobId } of all) {
          const isWaiting = !startedIds.has(jobId)
          if (isWaiting && !firstSince.has(tenantId)) firstSince.set(tenantId, { jobId, othersCost: 0 })
        }
        const started = next(queue, 0n)
        if (!started) break
        take(queue, started.jobId, 0n)
        expect(startedIds.has(started.jobId)).toBe(false)
        startedIds.add(started.jobId)
        for (const [tenantId, first] of firstSince) if (tenantId !== started.tenantId) first.othersCost += started.cost
        const waited = firstSince.get(started.tenantId)
        const others = tenants.map((t, index) => ({ ...t, id: `t${index}` })).filter((t) => t.id !== started.tenantId)
        if (waited) expect(waited.othersCost).toBeLessThanOrEqual(starvationBound(started, others))
        firstSince.delete(started.tenantId)
      }
      expect(startedIds.size).toBe(all.length)
    }),
    { numRuns: 300 },
  )
})
