/** The rules alone, in memory: admission under many caps, and the whole life of a job after a million others. */

import { type PriceBook, parsePriceBook, starterBookJson } from '../pricing/index.ts'
import { decideRequest, type RequestContext } from '../processors/deciders.ts'
import { type Directory, emptyDirectory, evolveDirectory } from '../processors/directory/state.ts'
import { toEndedJob } from '../processors/ended-job.ts'
import { decideOutcome, decideStart } from '../processors/execution/decide.ts'
import { emptyPartitionState, evolve, type PartitionState } from '../processors/partition-state.ts'
import { decideRating } from '../processors/rating/decide.ts'
import type { Fact, FactBody, Request } from '../schemas/events.generated.ts'
import type { Bench, Row } from './report.ts'
import { slopeOf } from './slope.ts'

const sizes = [1_000, 10_000, 100_000, 1_000_000]
const jobsMeasured = 5_000
const warmUpJobs = 20_000
const capCounts = [1, 16, 128]
const limits = { places: { local: 64, remote: 64 }, attemptMsMax: 10_000, retryBaseMs: 100, retryMsMax: 1_000 }

export const core: Bench = {
  about: `The rules of an owner without log, codec and database. Admission: a submission decided and folded under so many caps, beside none. A whole life: submitted, admitted, started, succeeded, metered and rated, each fact folded, after so many jobs before it, of one tenant and of 10,000; ${jobsMeasured} jobs each.`,
  limits:
    'One thread, no garbage but its own. Jobs are a tenth of a second apart, so that what an owner forgets after a day or two it does not forget here before the end.',
  async run({ rounds }) {
    const rows: Row[] = capCounts.map((caps) => ({
      what: `admit under ${caps} ${caps === 1 ? 'cap' : 'caps'}`,
      unit: 'µs',
      ours: [],
      beside: { name: 'under none', rounds: [] },
    }))
    const warmUp = new World(1, 2)
    for (let n = 0; n < warmUpJobs; n++) warmUp.live(n)
    for (let round = 0; round < rounds; round++) {
      for (const [index, caps] of capCounts.entries()) {
        rows[index]?.ours.push(admission(caps))
        rows[index]?.beside?.rounds.push(admission(0))
      }
    }
    for (const tenantCount of [1, 10_000]) rows.push(...lives(tenantCount))
    return { rows, setting: 'one thread' }
  },
}

function admission(caps: number): number {
  const world = new World(1, caps)
  for (let n = 0; n < jobsMeasured; n++) world.admit(n)
  return timed(() => {
    for (let n = jobsMeasured; n < 2 * jobsMeasured; n++) world.admit(n)
  })
}

function lives(tenantCount: number): Row[] {
  const world = new World(tenantCount, 2)
  const of = tenantCount === 1 ? 'one tenant' : `${tenantCount.toLocaleString('en')} tenants`
  const found: number[] = []
  let done = 0
  for (const size of sizes) {
    for (; done < size; done++) world.live(done)
    found.push(
      timed(() => {
        for (const end = done + jobsMeasured; done < end; done++) world.live(done)
      }),
    )
  }
  const rows = sizes.map(
    (size, index): Row => ({
      what: `a whole life after ${size.toLocaleString('en')} jobs, ${of}`,
      unit: 'µs',
      ours: [found[index] ?? Number.NaN],
    }),
  )
  const slope: Row = {
    what: `added by ten times the jobs, ${of}`,
    unit: 'µs',
    ours: slopeOf(sizes.map(Math.log10), found),
    aim: '0 in the interval',
  }
  return [...rows, slope]
}

/** Microseconds a job. */
function timed(run: () => void): number {
  const since = performance.now()
  run()
  return ((performance.now() - since) * 1_000) / jobsMeasured
}

class World {
  readonly #state: PartitionState = emptyPartitionState()
  readonly #directory: Directory = emptyDirectory()
  readonly #book: PriceBook
  readonly #tenants: readonly string[]
  #now = 1_794_312_000_000_000n
  #id = 0

  constructor(tenantCount: number, caps: number) {
    const text = starterBookJson()
    const parsed = parsePriceBook(text)
    if (!parsed.ok) throw new Error(parsed.problems.join('; '))
    this.#book = parsed.book
    this.#tenants = Array.from({ length: tenantCount }, (_, n) => `tenant-${n}`)
    const { hash, currency } = parsed.book
    this.#take('platform', { type: 'PriceBookPublished', hash, currency, effectiveFrom: 0n, book: text })
    for (const tenantId of this.#tenants) {
      this.#take('platform', {
        type: 'TenantRegistered',
        registeredTenantId: tenantId,
        level: 'client',
        parentId: 'platform',
        name: tenantId,
        currency,
        timeZone: 'UTC',
      })
      for (let cap = 0; cap < caps; cap++)
        this.#take(tenantId, {
          type: 'CapSet',
          capId: `cap-${cap}`,
          metric: cap % 2 === 0 ? 'requests' : 'money',
          limit: 10n ** 15n,
          period: 'month',
          anchorDate: null,
          scopeMemberId: null,
          scopeCapability: null,
          version: 1n,
          countsFrom: 0n,
        })
    }
  }

  admit(n: number): void {
    const tenantId = this.#tenants[n % this.#tenants.length] ?? ''
    this.#now += 100_000n
    const request: Request = {
      type: 'SubmitJob',
      tenantId,
      requestId: `req_${n}`,
      requestedAt: this.#now,
      actor: 'token:t',
      correlationId: 'c',
      directoryVersion: 0n,
      traceparent: null,
      jobId: `job_${n}`,
      memberId: null,
      capability: 'classify.sentiment',
      resourceId: null,
      model: null,
      payloadRef: `pay_${n}`,
      payloadBytes: 10n,
      payloadMac: 'm',
      priority: 3,
      inputTokensMax: 90n,
      outputTokensMax: 10n,
      maxCharge: null,
      deadlineMs: 60_000n,
    }
    for (const fact of decideRequest(request, this.#state, this.#context()).facts) this.#take(tenantId, fact)
  }

  live(n: number): void {
    this.admit(n)
    const started = decideStart(this.#state.execution, 'local', limits, { now: this.#now })
    if (started?.type !== 'AttemptStarted') throw new Error(`Job ${n} does not start.`)
    this.#take(started.tenantId, started)
    const job = this.#state.execution.jobs.get(started.jobId)
    const { jobId, attemptId, tenantId } = started
    const usage = {
      inputUncachedTokens: 7n,
      inputCacheReadTokens: 0n,
      inputCacheWriteTokens: 0n,
      outputTokens: 3n,
      reasoningTokens: 0n,
      source: 'counted' as const,
    }
    const result = { ref: `res_${n}`, bytes: 20, mac: 'm' }
    const outcome = { jobId, attemptId, durationMs: 1, ok: true as const, result, usage }
    const { ending } = decideOutcome(this.#state.execution, outcome, limits, { now: this.#now, jitter: 0.5 })
    if (!job || !ending) throw new Error(`Job ${n} does not end.`)
    for (const fact of [ending.end, ...decideRating(toEndedJob(job, ending), this.#book)]) this.#take(tenantId, fact)
  }

  #context(): RequestContext {
    return {
      now: this.#now,
      directory: this.#directory,
      directoryVersion: 1n,
      routeFor: () => [{ provider: 'local', model: 'vader', keyOwner: 'platform', keyId: null, pool: 'local' }],
      openJobsPerTenantMax: 1_000_000,
      openJobsPerPartitionMax: 10_000_000,
      attemptsMax: 3,
      weightOf: () => 1,
    }
  }

  #take(tenantId: string, body: FactBody & { eventId?: string }): void {
    this.#id += 1
    this.#now += 1n
    const fact: Fact = {
      seq: this.#state.seq + 1n,
      occurredAt: this.#now,
      actor: 'owner',
      correlationId: 'c',
      causedBy: `cause_${this.#id}`,
      intakeOffset: null,
      traceparent: null,
      ...body,
      tenantId,
      eventId: body.eventId ?? `evt_${this.#id}`,
    }
    evolveDirectory(this.#directory, fact)
    evolve(this.#state, fact)
  }
}
