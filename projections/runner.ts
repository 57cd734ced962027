/**
 * Keeps the views in PostgreSQL current: reads committed facts partition by partition, and writes the rows of all
 * projections and their positions in one transaction per batch.
 *
 *   read → decode → ops (pure) → [move positions, rows] in one transaction → tell the relay
 *
 * What several partitions have to write at the same time goes into one transaction (`group-writer.ts`).
 *
 * Several instances may run over the same partitions: one moves the positions, the others find them moved, roll back,
 * and stand back for as long as it gets on. A fact that cannot be decoded or applied stops its partition loudly at its position, with
 * everything before it written; the other partitions go on.
 */
import { type Clock, sleep } from '../platform/clock.ts'
import { isFailure, PlatformError } from '../platform/errors.ts'
import { type FactCursor, type FactsLog, type StoredFact, startOfFacts } from '../platform/log/log.ts'
import type { Database } from '../platform/postgres/database.ts'
import { answeredTopic, jobChangedTopic, jobEndedTopic, type Relay } from '../platform/relay/relay.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'
import type { EpochMicros } from '../schemas/units.ts'
import { factFrom } from './decode.ts'
import { opsOf } from './fold-rows.ts'
import { type GroupWriter, groupWriter, isFactsFault, type WrittenRows } from './group-writer.ts'
import { allProjections } from './index.ts'
import { jobList } from './job-list/projection.ts'
import { settledJob } from './job-list/queries.ts'
import { cursorAfter, type Move, readPositions, type ViewPosition } from './positions.ts'
import type { Projection } from './projection.ts'
import { prepareViews, type RebuildProgress } from './rebuild.ts'

export type ProjectionFailure = {
  /** Undefined when the trouble is not one partition's. */
  partition?: number
  /** The fact that cannot be taken in; undefined when the trouble is not one fact's. */
  seq?: bigint
  stream?: string
  offset?: bigint
  error: unknown
  /** True when the partition's views stand still until the process is started again. */
  isStopped: boolean
}

export type ProjectionHealth = {
  partition: number
  phase: 'running' | 'stopped'
  /** Last fact all views show. */
  seq: bigint
  /** When that fact was decided, in microseconds since the epoch; null before the first one of this process. */
  occurredAt: EpochMicros | null
  /** Committed facts not yet shown, as last seen: at most a second old while there are any. */
  lagFacts: bigint
  /** Fact that stopped the partition. */
  stoppedAt?: bigint
  problem?: string
}

export type ProjectionParts = {
  log: FactsLog
  codec: Codec
  database: Database
  relay: Pick<Relay, 'publish'>
  clock: Clock
  /** Told of every failure, at once. */
  onFailure: (failure: ProjectionFailure) => void
  /** Told while views are rebuilt at start because their version was raised. */
  onRebuild?: (progress: RebuildProgress) => void
  /** Default: all. */
  projections?: readonly Projection[]
  /** Facts in one transaction; default 2,000. */
  factsMax?: number
  /** How long it looks on before it tries again what another process was faster at; default 100. 0 races on. */
  standBackMs?: number
}

export type Projections = {
  /** Ends after the transaction under way; later waits are refused. */
  stop(): Promise<void>
  /** One entry per partition. */
  health(): ProjectionHealth[]
  /** Resolves when all views of the partition show `seq`. Throws NOT_READY after `waitMs` (default 30 s), or when the partition stops. */
  caughtUp(partition: number, seq: bigint, waitMs?: number): Promise<void>
}

export const factsMaxDefault = 2_000
const readWaitMs = 1_000
const lagEveryMs = 1_000
/** Where a read finds nothing, which may be because nobody answers it. */
const lagWithoutFactsEveryMs = 10_000
const standBackMsDefault = 100
const retryWaitMs = 100
const retryWaitMsMax = 5_000
/** Failures in a row that are neither known to pass nor any fact's fault, before the partition stops. */
const retriesMax = 10
const caughtUpWaitMs = 30_000

/**
 * Starts a reader per partition. First makes sure that every view has a table of this build's version: one whose
 * version was raised, or that is new, is rebuilt beside the live one, and only then reading begins.
 */
export async function startProjections(parts: ProjectionParts): Promise<Projections> {
  const { projections = allProjections, log } = parts
  await prepareViews({ ...parts, projections })
  const write = groupWriter(parts.database, parts.factsMax ?? factsMaxDefault)
  const partitions = Array.from({ length: log.partitionCount }, (_, partition) =>
    startPartition(partition, { ...parts, projections, write }),
  )
  return {
    stop: async () => void (await Promise.all(partitions.map((p) => p.stop()))),
    health: () => partitions.map((p) => p.health()),
    caughtUp: async (partition, seq, waitMs = caughtUpWaitMs) => {
      const found = partitions[partition]
      if (!found) throw new PlatformError('INTERNAL', { problem: 'no such partition', partition })
      await found.caughtUp(seq, waitMs)
    },
  }
}

type Waiter = { seq: bigint; resolve: () => void; reject: (error: unknown) => void }

function startPartition(
  partition: number,
  parts: ProjectionParts & { projections: readonly Projection[]; write: GroupWriter },
) {
  const { log, codec, database, relay, clock, onFailure, projections, write } = parts
  const { factsMax = factsMaxDefault, standBackMs = standBackMsDefault } = parts
  const stopping = new AbortController()
  const waiters = new Set<Waiter>()
  const health: ProjectionHealth = { partition, phase: 'running', seq: 0n, occurredAt: null, lagFacts: 0n }
  let positions: ViewPosition[] = []
  /** Up to where those who wait here have been told what became readable. */
  let told: FactCursor | undefined
  let lagAt = 0
  /** What is being written, for the one who has to say where it failed. */
  let underWay: readonly StoredFact[] = []
  /** Smaller after a failure that some fact of a batch has caused, until it is found or the batch is past. */
  let factsLimit = factsMax
  let failedUpTo = 0n
  let failuresInRow = 0
  let standsBack = false
  const done = run()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        if (positions.length === 0) await reread()
        await tell()
        await (standsBack ? standBack() : step())
        failuresInRow = 0
      } catch (error) {
        if (!(await canGoOn(error))) break
      }
    }
    health.phase = 'stopped'
    for (const waiter of waiters) waiter.reject(new PlatformError('NOT_READY', { partition, seq: health.seq }))
    waiters.clear()
  }

  async function step(): Promise<void> {
    const cursor = slowest(positions)
    const read = await log.readFacts(partition, cursor, {
      recordsMax: factsLimit,
      waitMs: readWaitMs,
      signal: stopping.signal,
    })
    underWay = read.facts
    if (read.facts.length === 0) return measureLag(lagWithoutFactsEveryMs)
    const { facts, poison } = decodeAll(read.facts)
    if (facts.length > 0)
      await take(facts, poison ? cursorAfter(cursor, read.facts.slice(0, facts.length)) : read.cursor)
    if (poison) throw new PoisonError(poison.record, poison.error)
    if (health.seq >= failedUpTo) factsLimit = factsMax
    if (facts.length >= factsLimit) await measureLag(lagEveryMs)
  }

  function decodeAll(records: readonly StoredFact[]): {
    facts: Fact[]
    poison?: { record: StoredFact; error: unknown }
  } {
    const facts: Fact[] = []
    for (const record of records) {
      try {
        facts.push(factFrom(codec, record))
      } catch (error) {
        return { facts, poison: { record, error } }
      }
    }
    return { facts }
  }

  async function take(facts: readonly Fact[], to: FactCursor): Promise<void> {
    const writes = projections.map((projection) => ({ projection, factOps: opsOf(projection, facts) }))
    const moves = positions.map(
      ({ projection, version, rebuilds, cursor }): Move => ({
        partition,
        projection,
        version,
        rebuilds,
        from: cursor.seq,
        to: cursor.seq > to.seq ? cursor : to,
      }),
    )
    const written = await write({ moves, writes, facts: facts.length })
    if (written) {
      positions = moves.map(({ projection, version, rebuilds, to }) => ({ projection, version, rebuilds, cursor: to }))
      publish(facts, written)
      told = to
      moveOn(slowest(positions).seq)
    } else {
      standsBack = standBackMs > 0
      await reread()
    }
  }

  /** While another process gets on with these views, doing the same beside it would only cost: this one tells who waits here. */
  async function standBack(): Promise<void> {
    await sleep(clock, standBackMs, stopping.signal)
    const { seq } = slowest(positions)
    await reread()
    standsBack = slowest(positions).seq > seq
  }

  /** What somebody else wrote is as readable as what this runner wrote, and its waiters may be here. */
  async function tell(): Promise<void> {
    const shown = slowest(positions)
    told ??= shown
    while (told.seq < shown.seq && !stopping.signal.aborted) {
      const { facts } = await log.readFacts(partition, told, { recordsMax: factsMax, waitMs: 0 })
      const seen = facts.filter(({ seq }) => seq <= shown.seq)
      if (seen.length === 0) break // Not readable here yet: told before the next step.
      publish(decodeAll(seen).facts)
      told = cursorAfter(told, seen)
    }
    moveOn(shown.seq)
  }

  async function reread(): Promise<void> {
    const found = await database.asService((tx) => readPositions(tx, partition))
    positions = projections.map(({ name, version }) => {
      const position = found.find((p) => p.projection === name)
      if (position?.version !== version) {
        throw new PlatformError('SCHEMA_INCOMPATIBLE', { projection: name, version, found: position?.version })
      }
      return position
    })
  }

  function moveOn(seq: bigint): void {
    health.lagFacts = health.lagFacts > seq - health.seq ? health.lagFacts - (seq - health.seq) : 0n
    health.seq = seq
    for (const waiter of waiters) if (waiter.seq <= seq) waiter.resolve()
  }

  async function measureLag(everyMs: number): Promise<void> {
    if (clock.nowMs() - lagAt < everyMs) return
    lagAt = clock.nowMs()
    health.lagFacts = (await log.committed(partition)).seq - health.seq
  }

  /** `written`: by this runner just now, so that who waits for a job need not read it again. */
  function publish(facts: readonly Fact[], written?: WrittenRows): void {
    health.occurredAt = facts.at(-1)?.occurredAt ?? health.occurredAt
    const messages = new Map<string, unknown>()
    for (const fact of facts) {
      if ('jobId' in fact) messages.set(jobChangedTopic(fact.tenantId, fact.jobId), null)
      // Who asks something of a job waits for what becomes of the job.
      else if (fact.intakeOffset !== null) messages.set(answeredTopic(fact.tenantId, fact.causedBy), null)
      if (fact.type === 'JobRated' || fact.type === 'JobRefused')
        messages.set(jobEndedTopic(fact.tenantId, fact.jobId), settledJob(written?.get(jobList), fact) ?? null)
    }
    try {
      for (const [topic, message] of messages) relay.publish(topic, message)
    } catch (error) {
      onFailure({ partition, error, isStopped: false }) // The rows are written; who waits finds them a little later.
    }
  }

  /** False stops the partition. */
  async function canGoOn(error: unknown): Promise<boolean> {
    if (error instanceof PoisonError) return stop(error.cause, error.record)
    if (isFailure(error) && !error.canRetry) return stop(error)
    if (isFactsFault(error)) {
      if (underWay.length <= 1) return stop(error, underWay[0])
      failedUpTo = underWay.at(-1)?.seq ?? 0n
      factsLimit = Math.floor(underWay.length / 2) // The same facts again, in halves, to find out which it is.
      return true
    }
    if (failuresInRow >= retriesMax && !isFailure(error)) return stop(error)
    onFailure({ partition, error, isStopped: false })
    await sleep(clock, Math.min(retryWaitMsMax, retryWaitMs * 2 ** Math.min(failuresInRow, 10)), stopping.signal)
    failuresInRow++
    positions = []
    return true
  }

  function stop(error: unknown, record?: StoredFact): false {
    health.problem = error instanceof Error ? error.message : String(error)
    if (record) health.stoppedAt = record.seq
    onFailure({
      partition,
      ...(record && { seq: record.seq, stream: record.stream, offset: record.offset }),
      error,
      isStopped: true,
    })
    return false
  }

  return {
    health: () => ({ ...health }),
    async stop() {
      stopping.abort()
      await done
    },
    caughtUp(seq: bigint, waitMs: number): Promise<void> {
      if (health.seq >= seq) return Promise.resolve()
      if (health.phase === 'stopped')
        return Promise.reject(new PlatformError('NOT_READY', { partition, seq: health.seq, wanted: seq }))
      return new Promise((resolve, reject) => {
        const cancel = clock.after(waitMs, () =>
          waiter.reject(new PlatformError('NOT_READY', { partition, seq: health.seq, wanted: seq })),
        )
        const end = (then: () => void) => {
          cancel()
          waiters.delete(waiter)
          then()
        }
        const waiter: Waiter = { seq, resolve: () => end(resolve), reject: (error) => end(() => reject(error)) }
        waiters.add(waiter)
      })
    },
  }
}

/** Carries the record that cannot be read; everything before it is written. */
class PoisonError extends Error {
  readonly record: StoredFact
  constructor(record: StoredFact, cause: unknown) {
    super(`Fact ${record.seq} cannot be read.`, { cause })
    this.record = record
  }
}

const slowest = (positions: readonly ViewPosition[]): FactCursor =>
  positions.reduce<FactCursor | undefined>(
    (least, { cursor }) => (least && least.seq <= cursor.seq ? least : cursor),
    undefined,
  ) ?? startOfFacts
