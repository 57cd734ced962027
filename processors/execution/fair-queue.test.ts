import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkModel, command } from '../testing/commands.ts'
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

test('nobody saves up while all it has is a job that is to be tried again later', () => {
  const queue = filled(entry('saver', 'again', { readyAt: 1_000_000n }), ...jobs('flood', 2_000, { cost: 8 }))
  for (let round = 0; round < 100; round++) {
    enqueue(queue, entry('saver', `cheap-${round}`))
    drain(queue, 2) // One of each.
  }
  for (const dear of jobs('saver', 20, { cost: costMax })) enqueue(queue, dear)
  const order = drain(queue, 40)
  const first = order.findIndex((id) => id.startsWith('flood'))
  const dearBefore = order.slice(0, first).filter((id) => id.startsWith('saver')).length
  expect(dearBefore * costMax).toBeLessThanOrEqual(starvationBound({ cost: 8, weight: 1 }, [{ weight: 1 }]))
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

test('what a queue keeps is bounded by who waits, whoever leaves from the middle', () => {
  const queue = filled(...jobs('a', 100, { priority: 2 }), entry('a', 'again', { readyAt: 1_000_000n }))
  const kept = () => {
    const line = queue.lines.get('a')
    return (
      (line?.later.length ?? 0) + (line?.lanes ?? []).reduce((sum, { items, head }) => sum + items.length - head, 0)
    )
  }
  for (let n = 0; n < 5_000; n++) {
    const [left, alsoLeft] = [`left-${n}`, `also-left-${n}`]
    enqueue(queue, entry('a', left, { priority: 2 }))
    enqueue(queue, entry('a', alsoLeft, n % 2 === 0 ? { readyAt: 500n } : { priority: 4 }))
    remove(queue, left)
    remove(queue, alsoLeft)
    expect(kept()).toBeLessThanOrEqual(2 * queueSize(queue) + 64)
  }
  expect(drain(queue)).toEqual(jobs('a', 100).map(({ jobId }) => jobId))
  expect(drain(queue, 1, 1_000_000n)).toEqual(['again'])
})

test('a fact that names another job than the rule would still holds, and its tenant pays for it', () => {
  const queue = filled(...jobs('a', 20), ...jobs('b', 20))
  take(queue, 'b-7', 0n)
  expect(queueSize(queue)).toBe(39)
  expect(drain(queue).filter((id) => id === 'b-7')).toEqual([])
})

test('however often facts name other jobs than the rule would, places that are free are filled', () => {
  const queue = filled(...jobs('a', 1), ...jobs('b', 101, { cost: costMax }))
  for (let n = 1; n <= 100; n++) take(queue, `b-${n}`, 0n)
  expect(drain(queue)).toEqual(['a-0', 'b-0'])
})

test('every queued job starts exactly once, and nobody waits longer than the starvation bound says', () => {
  const tenant = fc.record({
    weight: fc.integer({ min: 1, max: 4 }),
    costs: fc.array(fc.integer({ min: 1, max: costMax }), { minLength: 1, maxLength: 30 }),
    hasRepetition: fc.boolean(),
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
        if (t.hasRepetition) enqueue(queue, entry(`t${index}`, `t${index}-again`, { weight: t.weight, readyAt: 1n }))
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

/** The same rules in the plainest way: one list of jobs, looked through from the beginning for every question. */
class NaiveQueue {
  ring: { tenantId: string; deficit: number; weight: number }[] = []
  hasCharged = false
  jobs: Entry[] = []
  now = 1_000n
  made = 0

  add(job: Entry): void {
    this.jobs.push(job)
    const known = this.ring.find(({ tenantId }) => tenantId === job.tenantId)
    if (known) known.weight = job.weight
    else this.ring.push({ tenantId: job.tenantId, deficit: 0, weight: job.weight })
  }

  /** Due repetitions by their time, then by age-weighted priority; ties by priority, then arrival. */
  private firstOf(tenantId: string): Entry | undefined {
    const own = this.jobs.filter((job) => job.tenantId === tenantId)
    const by = (key: (job: Entry) => bigint) => (a: Entry, b: Entry) => Number(key(a) - key(b))
    const due = own.filter((job) => job.readyAt > job.enqueuedAt && job.readyAt <= this.now)
    const fresh = own.filter((job) => job.readyAt <= job.enqueuedAt)
    const repeated = due.toSorted(by((job) => job.readyAt))[0]
    const urgent = fresh.toSorted(by((job) => BigInt(job.priority)))
    return repeated ?? urgent.toSorted(by((job) => job.enqueuedAt + BigInt(job.priority) * ageStepMicros))[0]
  }

  /** Turns the ring until somebody can pay for their first job; undefined, and nothing turned, when nobody is ready. */
  turn(): Entry | undefined {
    if (!this.ring.some(({ tenantId }) => this.firstOf(tenantId))) return undefined
    for (;;) {
      const [front] = this.ring
      if (!front) return undefined
      const first = this.firstOf(front.tenantId)
      if (first && !this.hasCharged) front.deficit += front.weight * quantum
      if (first && front.deficit >= first.cost) {
        this.hasCharged = true
        return first
      }
      if (!first) front.deficit = 0
      this.hasCharged = false
      this.ring.push(...this.ring.splice(0, 1))
    }
  }

  drop(job: Entry): void {
    this.jobs = this.jobs.filter((other) => other !== job)
    if (this.jobs.some(({ tenantId }) => tenantId === job.tenantId)) return
    if (this.ring[0]?.tenantId === job.tenantId) this.hasCharged = false
    this.ring = this.ring.filter(({ tenantId }) => tenantId !== job.tenantId)
  }

  pay(job: Entry): void {
    const line = this.ring.find(({ tenantId }) => tenantId === job.tenantId)
    if (line) line.deficit -= job.cost
    this.drop(job)
  }
}

type Drawn = { tenant: number; cost: number; priority: number; weight: number; delay: bigint }
const drawnJob: fc.Arbitrary<Drawn> = fc.record({
  tenant: fc.nat(4),
  cost: fc.integer({ min: 1, max: costMax }),
  priority: fc.integer({ min: 1, max: 5 }),
  weight: fc.integer({ min: 1, max: 3 }),
  delay: fc.constantFrom(0n, 0n, 0n, 5n, 40n, 2n * ageStepMicros),
})
type Real = { queue: FairQueue }
const agree = (model: NaiveQueue, { queue }: Real): void => {
  expect(queueSize(queue)).toBe(model.jobs.length)
  const later = model.jobs.flatMap(({ readyAt, enqueuedAt }) =>
    readyAt > enqueuedAt && readyAt > model.now ? [readyAt] : [],
  )
  const soonest = later.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
  const isDue = model.jobs.some(({ readyAt, enqueuedAt }) => readyAt > enqueuedAt && readyAt <= model.now)
  // Behind a repetition that is due another may wait unseen: it is asked for again once that one has started.
  if (!isDue) expect(nextReadyAt(queue, model.now)).toBe(soonest)
}
const startNext = (model: NaiveQueue, { queue }: Real): void => {
  const real = next(queue, model.now)
  const wanted = model.turn()
  expect(real?.jobId).toBe(wanted?.jobId)
  if (!wanted) return
  take(queue, wanted.jobId, model.now)
  model.pay(wanted)
}
const hasJobs = (model: Readonly<NaiveQueue>): boolean => model.jobs.length > 0

test('whatever comes, leaves and waits, the queue starts whom a naive list would start', () => {
  const kinds = [
    command<NaiveQueue, Real, Drawn[]>(
      'add',
      fc.array(drawnJob, { minLength: 1, maxLength: 6 }),
      (model, real, jobs) => {
        for (const { tenant, delay, ...more } of jobs) {
          model.made += 1
          const times = { enqueuedAt: model.now, readyAt: model.now + delay }
          const made = entry(`t${tenant}`, `job-${model.made}`, { ...more, ...times })
          model.add(made)
          enqueue(real.queue, made)
        }
        agree(model, real)
      },
    ),
    command<NaiveQueue, Real, number>('start', fc.integer({ min: 1, max: 12 }), (model, real, times) => {
      for (let time = 0; time < times; time++) startNext(model, real)
      agree(model, real)
    }),
    command<NaiveQueue, Real, number>(
      'remove',
      fc.nat(),
      (model, real, index) => {
        const job = model.jobs[index % model.jobs.length]
        if (!job) return
        remove(real.queue, job.jobId)
        model.drop(job)
        agree(model, real)
      },
      hasJobs,
    ),
    command<NaiveQueue, Real, bigint>(
      'wait',
      fc.constantFrom(1n, 5n, ageStepMicros, 4n * ageStepMicros),
      (model, real, micros) => {
        model.now += micros
        agree(model, real)
      },
    ),
    command<NaiveQueue, Real, null>('copy', fc.constant(null), (_, real) => {
      real.queue = structuredClone(real.queue)
    }),
  ]
  checkModel(() => ({ model: new NaiveQueue(), real: { queue: emptyFairQueue() } }), kinds, {
    runs: 150,
    commandsMax: 60,
  })
})

test('while all have work, service is in proportion to weight within one round and one dearest job', () => {
  const tenants = fc.array(
    fc.record({
      weight: fc.integer({ min: 1, max: 4 }),
      costs: fc.infiniteStream(fc.integer({ min: 1, max: costMax })),
    }),
    {
      minLength: 2,
      maxLength: 5,
    },
  )
  fc.assert(
    fc.property(tenants, fc.integer({ min: 20, max: 120 }), (drawn, starts) => {
      const queue = emptyFairQueue()
      const served = drawn.map(() => 0)
      drawn.forEach(({ weight, costs }, index) => {
        for (let job = 0; job < starts; job++)
          enqueue(queue, entry(`${index}`, `${index}-${job}`, { weight, cost: costs.next().value }))
      })
      for (let start = 0; start < starts; start++) {
        const job = next(queue, 0n)
        if (!job) throw new Error('nobody is ready')
        take(queue, job.jobId, 0n)
        served[Number(job.tenantId)] = (served[Number(job.tenantId)] ?? 0) + job.cost
        for (const [a, one] of drawn.entries()) {
          for (const [b, other] of drawn.entries()) {
            // In units of weight: a turn more than the other, and what either may have saved up.
            const difference = (served[a] ?? 0) / one.weight - (served[b] ?? 0) / other.weight
            expect(difference).toBeLessThan(quantum + costMax / one.weight + costMax / other.weight)
          }
        }
      }
    }),
    { numRuns: 60 },
  )
})
