/** For tests of the verifier: a small history that is right in every detail, to be written out and to be spoilt. */
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import avro from 'avsc'
import { mostPico, type PriceBook, parsePriceBook } from '../../../pricing/index.ts'
import { billingPeriodOf, periodAt } from '../../../processors/admission/periods.ts'
import type { Draft } from '../../../processors/processor.ts'
import { decideRating, type ReportedUsage } from '../../../processors/rating/decide.ts'
import { decideForwarded, decideRollup } from '../../../processors/transfers/decide.ts'
import { emptyTransfers, evolveTransfers } from '../../../processors/transfers/state.ts'
import { avroType, type EventName } from '../../../schemas/codec.ts'
import {
  type CapSetBody,
  type Fact,
  type JobAdmitted,
  type JobAdmittedCapHold,
  type JobAdmittedRouteStep,
  type JobRatedJobOutcome,
  streamOf,
} from '../../../schemas/events.generated.ts'
import { attemptIdFrom, idFrom } from '../../../schemas/ids.ts'
import { readOwnSchemas } from '../../../schemas/own-schemas.ts'

export const sampleBook = JSON.stringify({
  currency: 'USD',
  effectiveFrom: '2026-01-01T00:00:00Z',
  entries: [
    entry('classify.category', 'local', '*', ['0.0002', '0.15', '0.075', '0.2', '0.6'], null),
    entry(
      'generate.text',
      'scripted',
      '*',
      ['0.001', '3', '0.3', '3.75', '15.000001'],
      ['0', '1.5', '0.15', '1.875', '7.5'],
    ),
    entry('generate.text', 'scripted', 'small', ['0.0005', '0.3', '0.03', '0.375', '1.5'], null),
  ],
  name: 'sample',
})

function entry(capability: string, provider: string, model: string, price: string[], cost: string[] | null) {
  const ownKeyPrice = rates(['0.0001', '0.01', '0.01', '0.01', '0.02'])
  return { capability, cost: cost && rates(cost), model, ownKeyPrice, price: rates(price), provider }
}

function rates([perRequest, input, cacheRead, cacheWrite, output]: string[]) {
  return {
    perMillionCacheReadTokens: cacheRead,
    perMillionCacheWriteTokens: cacheWrite,
    perMillionInputTokens: input,
    perMillionOutputTokens: output,
    perRequest,
  }
}

export type PlacedFact = { partition: number; fact: Fact }

type Cap = Omit<CapSetBody, 'type'> & {
  sinceVersion: bigint
  standings: Map<bigint, { settled: bigint; held: bigint }>
}
type Asked = { capability: string; memberId?: string; tokens: [input: bigint, output: bigint]; maxCharge?: bigint }
export type Attempted = { usage?: ReportedUsage; isFailed?: boolean; step?: number }

/** Tells a history: every fact gets its place, time and id, and every hold what stood before it. */
export class SampleLog {
  readonly facts: PlacedFact[] = []
  readonly book: PriceBook
  readonly #seqs = new Map<number, bigint>()
  readonly #partitions = new Map<string, number>()
  readonly #zones = new Map<string, string>()
  readonly #caps = new Map<string, Map<string, Cap>>()
  readonly #versions = new Map<string, bigint>()
  readonly #transfers = emptyTransfers()
  #now = BigInt(Date.parse('2026-03-28T22:00:00Z')) * 1_000n

  constructor() {
    const parsed = parsePriceBook(sampleBook)
    if (!parsed.ok) throw new Error(parsed.problems.join('; '))
    this.book = parsed.book
    this.#partitions.set('platform', 0)
    const { hash, currency, effectiveFrom } = parsed.book
    this.#add({
      type: 'PriceBookPublished',
      tenantId: 'platform',
      hash,
      currency,
      effectiveFrom,
      book: parsed.canonical,
    })
  }

  tenant(tenantId: string, partition: number, timeZone: string): void {
    this.#add({
      type: 'TenantRegistered',
      tenantId: 'platform',
      registeredTenantId: tenantId,
      level: 'client',
      parentId: 'platform',
      name: tenantId,
      currency: 'USD',
      timeZone,
    })
    this.#partitions.set(tenantId, partition)
    this.#zones.set(tenantId, timeZone)
    this.#caps.set(tenantId, new Map())
  }

  wait(ms: bigint): void {
    this.#now += ms * 1_000n
  }

  cap(
    tenantId: string,
    capId: string,
    shape: Partial<CapSetBody> & Pick<CapSetBody, 'metric' | 'limit' | 'period'>,
  ): void {
    const caps = this.#capsOf(tenantId)
    const version = (this.#versions.get(`${tenantId} ${capId}`) ?? 0n) + 1n
    this.#versions.set(`${tenantId} ${capId}`, version)
    const before = caps.get(capId)
    const countsFrom = before?.countsFrom ?? this.#now + 1n
    const body = { anchorDate: null, scopeMemberId: null, scopeCapability: null, ...shape, capId, version, countsFrom }
    caps.set(capId, {
      ...body,
      sinceVersion: before?.sinceVersion ?? version,
      standings: before?.standings ?? new Map(),
    })
    this.#add({ ...body, type: 'CapSet', tenantId })
  }

  removeCap(tenantId: string, capId: string): void {
    const version = (this.#versions.get(`${tenantId} ${capId}`) ?? 0n) + 1n
    this.#versions.set(`${tenantId} ${capId}`, version)
    this.#capsOf(tenantId).delete(capId)
    this.#add({ type: 'CapRemoved', tenantId, capId, version })
  }

  /** The admission, or undefined when the job was refused. */
  submit(
    tenantId: string,
    jobId: string,
    asked: Asked,
    route: readonly JobAdmittedRouteStep[],
  ): JobAdmitted | undefined {
    const {
      capability,
      memberId = null,
      tokens: [inputTokensMax, outputTokensMax],
      maxCharge = null,
    } = asked
    const job = { tenantId, jobId, memberId, capability }
    this.#add({
      type: 'JobSubmitted',
      ...job,
      resourceId: null,
      model: null,
      payloadRef: 'ref',
      payloadBytes: 1n,
      payloadMac: '',
      priority: 3,
      inputTokensMax,
      outputTokensMax,
      maxCharge,
      deadlineMs: 60_000n,
    })
    const most = mostPico(
      this.book,
      route.map((step) => ({ ...step, capability })),
      { inputTokensMax, outputTokensMax },
    )
    if (!most.priced) throw new Error('The sample asks for work without a price')
    const at = this.#now + 1n
    const timeZone = this.#zones.get(tenantId) ?? 'UTC'
    const used = {
      timeZone,
      priceBookHash: this.book.hash,
      directoryVersion: BigInt(this.facts.filter(({ fact }) => streamOf[fact.type] === 'directory').length),
    }
    if (maxCharge !== null && most.pico > maxCharge) {
      this.#add({ type: 'JobRefused', ...job, ...used, reason: 'over_max_charge', cap: null, heldPico: most.pico })
      return undefined
    }
    const needed = { requests: 1n, tokens: inputTokensMax + outputTokensMax, money: most.pico, unknown: 0n }
    const holds: { hold: JobAdmittedCapHold; cap: Cap }[] = []
    for (const cap of [...this.#capsOf(tenantId).values()].sort((a, b) => (a.capId < b.capId ? -1 : 1))) {
      if (cap.scopeMemberId !== null && cap.scopeMemberId !== memberId) continue
      if (cap.scopeCapability !== null && cap.scopeCapability !== capability) continue
      const { capId, version: capVersion, metric, limit } = cap
      const { start: periodStart, end: periodEnd } = periodAt(cap, timeZone, at, cap.countsFrom)
      const { settled: settledBefore, held: heldBefore } = cap.standings.get(periodStart) ?? { settled: 0n, held: 0n }
      const held = needed[metric]
      const free = limit - settledBefore - heldBefore
      if (held > free) {
        const refusal = {
          capId,
          capVersion,
          metric,
          limit,
          free: free > 0n ? free : 0n,
          needed: held,
          periodStart,
          resetsAt: periodEnd,
        }
        this.#add({ type: 'JobRefused', ...job, ...used, reason: 'over_cap', cap: refusal, heldPico: null })
        return undefined
      }
      holds.push({
        cap,
        hold: { capId, capVersion, periodStart, periodEnd, metric, limit, settledBefore, heldBefore, held },
      })
    }
    for (const { cap, hold } of holds) {
      cap.standings.set(hold.periodStart, { settled: hold.settledBefore, held: hold.heldBefore + hold.held })
    }
    const admitted = this.#add({
      type: 'JobAdmitted',
      ...job,
      priority: 3,
      requestsHeld: 1n,
      tokensHeld: needed.tokens,
      heldPico: needed.money,
      maxCharge,
      currency: 'USD',
      caps: holds.map(({ hold }) => hold),
      route: [...route],
      ...used,
      billingPeriod: billingPeriodOf(timeZone, at),
      resourceHash: null,
      schedulingCost: 1n,
      schedulingWeight: 1,
      attemptsMax: 3,
      deadlineAt: at + 60_000_000n,
    })
    if (admitted.type !== 'JobAdmitted') throw new Error('Not an admission')
    return admitted
  }

  /** Runs the attempts of an admitted job, ends it and rates it. */
  finish(
    job: JobAdmitted | undefined,
    outcome: Exclude<JobRatedJobOutcome, 'unknown'>,
    attempts: readonly Attempted[],
  ): void {
    if (!job) throw new Error('The sample finishes a job that was refused')
    const { tenantId, jobId } = job
    for (const [index, attempt] of attempts.entries())
      this.#attempt(job, index + 1, attempt, index + 1 === attempts.length)
    const last = attempts.at(-1)
    const attemptNo = attempts.length
    const step = this.#step(job, last)
    const attemptId = attemptIdFrom(tenantId, jobId, attemptNo)
    const { provider, model } = step
    if (outcome === 'succeeded') {
      const result = { resultRef: 'ref', resultBytes: 1n, resultMac: '', durationMs: 1n }
      this.#add({ type: 'JobSucceeded', tenantId, jobId, attemptNo, attemptId, provider, model, ...result })
    } else if (outcome === 'failed') {
      this.#add({ type: 'JobFailed', tenantId, jobId, code: 'PROVIDER_UNAVAILABLE', attempts: attemptNo })
    } else {
      this.#add({ type: 'JobCancelled', tenantId, jobId, attempts: attemptNo })
    }
    const run = {
      ...step,
      attemptNo,
      attemptId,
      usage: last?.usage ?? null,
      inputBytes: 1n,
      outputBytes: 1n,
      durationMs: 1n,
    }
    const drafts = decideRating({ ...job, admittedAt: job.occurredAt, outcome, attempt: last ? run : null }, this.book)
    for (const draft of drafts) {
      const fact = this.#add(draft)
      if (fact.type !== 'UsageMetered' && fact.type !== 'JobRated') continue
      for (const { capId, capVersion, periodStart, held, settled } of fact.settlements) {
        const cap = this.#capsOf(tenantId).get(capId)
        const standing = cap?.standings.get(periodStart)
        if (!cap || !standing || capVersion < cap.sinceVersion) continue
        cap.standings.set(periodStart, { settled: standing.settled + settled, held: standing.held - held })
      }
    }
  }

  /** Tells the platform, which is all there is above, of what was rated and not told yet. */
  tell(tenantId: string): void {
    for (const draft of decideRollup(this.#transfers, ['platform'], { tenantId, directoryVersion: 1n })) {
      const sent = this.#add(draft)
      if (sent.type !== 'TransferSent') throw new Error('Not a transfer')
      for (const forwarded of decideForwarded(this.#transfers, [sent])) this.#add(forwarded)
      const { number, kind, rollup } = sent
      const copy = rollup.map((line) => ({ ...line }))
      this.#add({
        type: 'TransferTaken',
        tenantId: sent.toTenantId,
        fromTenantId: tenantId,
        number,
        kind,
        rollup: copy,
      })
    }
  }

  #attempt(job: JobAdmitted, attemptNo: number, attempt: Attempted, isLast: boolean): void {
    const { tenantId, jobId } = job
    const { provider, model, keyOwner, keyId } = this.#step(job, attempt)
    const attemptId = attemptIdFrom(tenantId, jobId, attemptNo)
    const deadlineAt = job.deadlineAt
    this.#add({
      type: 'AttemptStarted',
      tenantId,
      jobId,
      attemptNo,
      attemptId,
      provider,
      model,
      keyOwner,
      keyId,
      deadlineAt,
    })
    if (!attempt.isFailed) return
    this.#add({
      type: 'AttemptFailed',
      tenantId,
      jobId,
      attemptNo,
      attemptId,
      provider,
      code: 'PROVIDER_UNAVAILABLE',
      indeterminate: false,
      retryAt: isLast ? null : this.#now,
      durationMs: 1n,
      usage: attempt.usage ?? null,
    })
  }

  #step(job: JobAdmitted, attempt: Attempted | undefined): JobAdmittedRouteStep {
    const step = job.route[attempt?.step ?? 0]
    if (!step) throw new Error('The sample has no such step')
    return step
  }

  #capsOf(tenantId: string): Map<string, Cap> {
    const caps = this.#caps.get(tenantId)
    if (!caps) throw new Error(`The sample has no tenant ${tenantId}`)
    return caps
  }

  #add(draft: Draft): Fact {
    this.#now += 1n
    const partition = this.#partitions.get(draft.tenantId) ?? 0
    const seq = (this.#seqs.get(partition) ?? 0n) + 1n
    this.#seqs.set(partition, seq)
    const header = {
      seq,
      occurredAt: this.#now,
      actor: 'owner',
      correlationId: 'c',
      causedBy: 'c',
      intakeOffset: null,
      traceparent: null,
    }
    const fact: Fact = { eventId: idFrom('evt', partition, seq), ...draft, ...header }
    this.facts.push({ partition, fact })
    evolveTransfers(this.#transfers, fact)
    return fact
  }
}

/** Numbers the facts of every partition anew, as an owner that had never written the missing ones would have. */
export function renumber(facts: readonly PlacedFact[]): void {
  const seqs = new Map<number, bigint>()
  for (const { partition, fact } of facts) {
    const seq = (seqs.get(partition) ?? 0n) + 1n
    seqs.set(partition, seq)
    fact.seq = seq
  }
}

const types = new Map<string, avro.Type>()

function typeOf(event: EventName): avro.Type {
  if (types.size === 0) for (const [name, schema] of readOwnSchemas()) types.set(name, avroType(schema))
  const type = types.get(event)
  if (!type) throw new Error(`No schema for ${event}`)
  return type
}

/** Writes the facts as an export: Avro object container files and their manifest. */
export async function writeExport(dir: string, facts: readonly PlacedFact[], partitions: number): Promise<void> {
  const files = Map.groupBy(facts, ({ partition, fact }) => `${streamOf[fact.type]}-${partition}/${fact.type}.avro`)
  const manifest = { partitions, files: [] as object[] }
  for (const [path, placed] of files) {
    const [first] = placed
    if (!first) continue
    const {
      partition,
      fact: { type: event },
    } = first
    await mkdir(dirname(join(dir, path)), { recursive: true })
    // Not avro.createFileEncoder, whose end does not wait for the file's.
    const encoder = new avro.streams.BlockEncoder(typeOf(event))
    const written = pipeline(encoder, createWriteStream(join(dir, path)))
    for (const { fact } of placed) encoder.write(fact)
    encoder.end()
    await written
    manifest.files.push({ path, stream: streamOf[event], event, partition, records: placed.length })
  }
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
}
