/** Histories made by the rules themselves, as fast as they decide: jobs of many tenants, a tenth of a second apart or as told. */
import { type PriceBook, parsePriceBook, starterBookJson } from '../pricing/index.ts'
import { decideRequest, type RequestContext } from '../processors/deciders.ts'
import { type Directory, emptyDirectory, evolveDirectory } from '../processors/directory/state.ts'
import { toEndedJob } from '../processors/ended-job.ts'
import { decideOutcome, decideStart } from '../processors/execution/decide.ts'
import { emptyPartitionState, evolve, type PartitionState } from '../processors/partition-state.ts'
import { decideRating } from '../processors/rating/decide.ts'
import type { Fact, FactBody, Request } from '../schemas/events.generated.ts'

const limits = { places: { local: 64, remote: 64 }, attemptMsMax: 10_000, retryBaseMs: 100, retryMsMax: 1_000 }

/** A partition's rules and its state, without log, codec and database. */
export class World {
  readonly #state: PartitionState = emptyPartitionState()
  readonly #directory: Directory = emptyDirectory()
  readonly #book: PriceBook
  readonly #tenants: readonly string[]
  readonly #onFact: (fact: Fact) => void
  readonly #jobGapMicros: bigint
  #now = 1_794_312_000_000_000n
  #id = 0

  /** `onFact` is given every fact, in order, also those of the set-up. */
  constructor(
    tenantCount: number,
    caps: number,
    { onFact = () => {}, jobGapMs = 100 }: { onFact?: (fact: Fact) => void; jobGapMs?: number } = {},
  ) {
    this.#onFact = onFact
    this.#jobGapMicros = BigInt(jobGapMs) * 1_000n
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

  get openJobs(): number {
    return this.#state.execution.jobs.size
  }

  admit(n: number): void {
    const tenantId = this.#tenants[n % this.#tenants.length] ?? ''
    this.#now += this.#jobGapMicros
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
    const started = decideStart(this.#state.execution, 'local', limits, { now: this.#now })?.facts[0]
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
    this.#onFact(fact)
  }
}
