/**
 * One tenure of an owner: its memory, gone when the tenure is. Outcomes, requests and due timers are decided in memory;
 * free places are filled; one commit; only then calls leave and waits end. What comes while a commit is under way is
 * decided beside it and stands in the next one (decision 24).
 *
 * Calls of local engines leave nothing: they begin before the commit, and what they come to within a moment is committed
 * together with their start (decision 21).
 */
import { PlatformError } from '../platform/errors.ts'
import type { FactCursor, FactEnds, FactRecord, Tenure } from '../platform/log/log.ts'
import { type Fact, type Request, streamOf } from '../schemas/events.generated.ts'
import { idFrom } from '../schemas/ids.ts'
import { type EpochMicros, microsFromMs, msFromMicros } from '../schemas/units.ts'
import { contentRefOf } from './accounts/state.ts'
import { type Cause, ownCause, stamp } from './cause.ts'
import { decideRequest, type RequestContext } from './deciders.ts'
import { bookByHash } from './directory/state.ts'
import { toEndedJob } from './ended-job.ts'
import {
  type Decided,
  decideDeadline,
  decideIndeterminate,
  decideOutcome,
  decideStart,
  type Ending,
  type Outcome,
} from './execution/decide.ts'
import { nextReadyAt, queueSize } from './execution/fair-queue.ts'
import type { OpenJob, Pool } from './execution/state.ts'
import { intakeReader } from './intake-reader.ts'
import type { OwnerHealth, OwnerParts } from './owner-parts.ts'
import { evolve } from './partition-state.ts'
import type { Draft } from './processor.ts'
import { decideRating } from './rating/decide.ts'
import type { Restored } from './restore.ts'
import { snapshotKeeper } from './snapshot-keeper.ts'
import { Timers } from './timers.ts'
import { transferDesk } from './transfers/desk.ts'

export type Session = ReturnType<typeof session>

/** A commit waits this long at most for local engines that have begun since the last one: most jobs need one commit only, and it costs the same with many. */
const togetherMsMax = 50
/** As long while other partitions of the process wait for their turn. */
const togetherWhileOthersWaitMsMax = 20
/** Facts of one commit after which it waits for nothing more. */
const togetherFactsMax = 1_000
/** And bytes, after which it takes no request more either: whoever reads it has it in memory whole. The owner adds as much by itself at most. */
const togetherBytesMax = 2 * 1024 * 1024
/** Of the facts that a job which succeeds adds to those of its start. */
const streamsOfEnds = (['JobSucceeded', 'UsageMetered', 'JobRated'] as const).map((type) => streamOf[type])
/** Timers are set by the clock, and a clock can be set right: what is due then is seen this much later at most. */
const lookAgainMsMax = 1_000

/** `stopping` ends the reading of requests; `health` is kept true. */
export function session(
  tenure: Tenure,
  restored: Restored,
  parts: OwnerParts,
  stopping: AbortSignal,
  health: OwnerHealth,
) {
  const { log, codec, clock, random, runner, directory, options, onFault } = parts
  const { partition } = tenure
  const { state } = restored
  let { cursor } = restored
  const ended = new AbortController()
  const outcomes: Outcome[] = []
  const calls = new Map<string, { jobId: string; controller: AbortController }>()
  /** Attempts whose calls are under way before the log has their start. */
  const early = new Set<string>()
  const timers = new Timers()
  const desk = transferDesk(state.transfers, parts, partition, ended.signal, () => wake())
  let takenTo = tenure.committed.intakeOffset
  const readingEnds = AbortSignal.any([ended.signal, stopping])
  const intake = intakeReader(parts, partition, takenTo, readingEnds, () => wake())
  const snapshots = snapshotKeeper(parts, partition, state)
  let facts: FactRecord[] = []
  /** Of the values of these facts. */
  let factBytes = 0
  /** When the first of these facts was decided. */
  let decidingSinceMs = 0
  let afterCommit: (() => void)[] = []
  let filledAt: EpochMicros = 0n
  /** Up to where timers were used up: a clock that was ahead may be right again. */
  let usedUpTo: EpochMicros = 0n
  /** Where what the owner decides by itself began in this commit: requests, however many, must not keep it from that. */
  let ownFrom = { facts: 0, bytes: 0 }
  /** Whether something of that was left undone, because it was as much as a commit may have. */
  let isLeft = false
  let wake: () => void = () => {}
  for (const job of state.execution.jobs.values()) timers.add(job.admitted.deadlineAt, job.jobId)
  report()

  /** Resolves when there is something to decide, or to commit. */
  function work(): Promise<void> {
    if (isLeft || !isAllCommitted()) return Promise.resolve()
    const at = earliest(timers.nextAt(), earliestRetry(), desk.nextAt())
    return somethingToDecide(
      at === undefined ? undefined : Math.min(Math.max(1, msFromMicros(at) - clock.nowMs() + 1), lookAgainMsMax),
    )
  }

  /** A request, an outcome or news of a transfer, the end of the time given, or of the tenure. */
  function somethingToDecide(waitMs: number | undefined): Promise<void> {
    if (intake.gap() || intake.hasMore() || outcomes.length > 0 || desk.hasNews()) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = waitMs === undefined ? () => {} : clock.after(waitMs, go)
      stopping.addEventListener('abort', go, { once: true })
      wake = go
      function go() {
        cancel()
        stopping.removeEventListener('abort', go)
        wake = () => {}
        resolve()
      }
    })
  }

  /** What became ready after the places were filled, be it already due: nobody has looked at it yet. */
  const earliestRetry = (): EpochMicros | undefined => {
    const { local, remote } = state.execution.queues
    return earliest(nextReadyAt(local, filledAt), nextReadyAt(remote, filledAt))
  }

  /** `othersWait`: whether other partitions of the process wait for this one to be done, and are to find more to do the longer they wait. */
  async function step(othersWait: () => boolean): Promise<void> {
    const gap = intake.gap()
    if (gap) throw gap
    await decide()
    await decideEnds(othersWait)
    await commitAndDecide(othersWait)
  }

  /** Most engines are done within a moment, and the ends of their jobs belong to the same commit. */
  async function decideEnds(othersWait: () => boolean): Promise<void> {
    if (early.size > 0) tenure.announce(new Set([...facts.map(({ stream }) => stream), ...streamsOfEnds]))
    while (early.size > 0 && !isFull() && !stopping.aborted) {
      const goneMs = clock.nowMs() - decidingSinceMs
      const leftMs = (othersWait() ? togetherWhileOthersWaitMsMax : togetherMsMax) - goneMs
      if (leftMs <= 0 || goneMs < 0) break // A clock that was set back holds no commit up.
      await somethingToDecide(leftMs)
      await decide()
    }
  }

  /**
   * What comes while the commit is under way is decided beside it, and is the beginning of the next one: so engines have
   * work meanwhile. Nothing of it leaves before the commit it belongs to, and none of it is left when this one fails.
   */
  async function commitAndDecide(othersWait: () => boolean): Promise<void> {
    // A snapshot is of what the log has: nothing may be decided beyond it.
    const canDecide = !snapshots.isDue()
    let isUnderWay = true
    const committing = commit().finally(() => {
      isUnderWay = false
      wake()
    })
    committing.catch(() => undefined) // Told below.
    try {
      while (canDecide && isUnderWay && !othersWait() && !intake.gap() && !isFull() && !stopping.aborted) {
        await somethingToDecide(undefined)
        if (isUnderWay) await decide()
      }
    } finally {
      await committing
    }
  }

  async function decide(): Promise<void> {
    isLeft = false
    for (const outcome of outcomes.splice(0)) decideOne(outcome)
    await takeRequests()
    ownFrom = { facts: facts.length, bytes: factBytes }
    giveUpLate()
    moveTransfers()
    fillPlaces()
  }

  function decideOne(outcome: Outcome): void {
    const job = state.execution.jobs.get(outcome.jobId)
    if (!job) return
    const now = moment()
    const decided = decideOutcome(state.execution, outcome, options.limits, { now, jitter: random.fraction() })
    record(decided, { ...ownCause(job), causedBy: outcome.attemptId, now })
  }

  async function takeRequests(): Promise<void> {
    const batch = intake.take()
    const needed = batch.reduce(
      (most, { request }) => (request && request.directoryVersion > most ? request.directoryVersion : most),
      0n,
    )
    await directory.catchUp(needed)
    for (const [index, { offset, request }] of batch.entries()) {
      if (factBytes >= togetherBytesMax) return intake.putBack(batch.slice(index))
      takenTo = offset + 1n
      if (request) answer(request, offset)
    }
  }

  function answer(request: Request, intakeOffset: bigint): void {
    const now = moment()
    const context: RequestContext = {
      ...options,
      now,
      directory: directory.directory(),
      directoryVersion: directory.version(),
    }
    const { requestId, actor, correlationId, traceparent } = request
    const cause = { causedBy: requestId, actor, correlationId, traceparent, intakeOffset, now }
    take(preparedOrRefused(request, context, cause))
  }

  /** Deciding changes nothing, so what cannot be decided, or not written, is refused in the log, and the next one goes on. */
  function preparedOrRefused(request: Request, context: RequestContext, cause: Cause): Prepared[] {
    try {
      return prepare(decideRequest(request, state, context), cause)
    } catch (error) {
      onFault({
        partition,
        error,
        isStopped: false,
        doing: `deciding ${request.type} at intake offset ${cause.intakeOffset}`,
      })
      const refused: Draft = {
        type: 'RequestRefused',
        tenantId: request.tenantId,
        requestType: request.type,
        reason: 'request_invalid',
        subject: request.requestId,
      }
      return prepare({ facts: [refused] }, cause)
    }
  }

  function giveUpLate(): void {
    const now = moment()
    if (now > usedUpTo) usedUpTo = now
    // A deadline may be that of every job there is, after an hour in which nobody served them.
    for (const jobId of timers.due(now)) {
      const job = state.execution.jobs.get(jobId)
      if (!job) continue
      const decided = decideDeadline(job, { now })
      if (decided.ending) record(decided, { ...ownCause(job), causedBy: deadlineOf(job), now: moment() })
      // A call that is under way has the same deadline and ends by itself; when it does not wait any more but
      // is to be tried again after the deadline, retryTime has already said no.
      if (leaves()) return
    }
  }

  function moveTransfers(): void {
    for (const { causedBy, correlationId, ...decided } of desk.moves(moment, leaves)) {
      const cause = { actor: 'owner', correlationId, traceparent: null, intakeOffset: null }
      record(decided, { ...cause, causedBy, now: moment() })
    }
  }

  function fillPlaces(): void {
    filledAt = moment()
    for (const pool of ['local', 'remote'] satisfies Pool[]) {
      // As many as wait at most: each of them leaves the queue, into a place or because it is too late.
      for (;;) {
        const now = moment()
        const decided = decideStart(state.execution, pool, options.limits, { now })
        if (!decided) break
        const { job, ending } = decided
        if (ending && leaves()) break
        record(decided, { ...ownCause(job), causedBy: ending ? deadlineOf(job) : job.readyBy, now })
      }
    }
  }

  /** Calls that were under way when the last owner died: nobody knows how they ended, and that is what is recorded. */
  function settleUnderWay(): void {
    const underWay = [...state.execution.jobs.values()].filter((job) => job.attempt !== null)
    health.indeterminate = underWay.length
    for (const job of underWay) {
      const now = moment()
      const canRepeat = options.canRepeat(job.submitted.capability)
      const decided = decideIndeterminate(state.execution, job, canRepeat, options.limits, {
        now,
        jitter: random.fraction(),
      })
      record(decided, {
        ...ownCause(job),
        causedBy: idFrom('recovery', job.tenantId, job.attempt?.attemptId ?? ''),
        now,
      })
    }
  }

  /** Strictly later than every decision before it, whatever the clock does: what one request set is before the next. */
  const moment = (): EpochMicros => {
    const now = microsFromMs(clock.nowMs())
    return now > state.occurredAt ? now : state.occurredAt + 1n
  }

  const record = (decided: Decided, cause: Cause): void => take(prepare(decided, cause))

  type Prepared = { fact: Fact; value: Uint8Array }

  /** The facts as they will stand in the log; changes nothing. Throws for one that the log would not take. */
  function prepare(decided: Decided, cause: Cause): Prepared[] {
    const drafts = [...decided.facts]
    const job = decided.ending && state.execution.jobs.get(decided.ending.end.jobId)
    if (decided.ending && job) drafts.push(decided.ending.end, ...rating(job, decided.ending))
    return drafts.map((draft, index) => {
      const fact = stamp(draft, index, cause, state.seq + BigInt(index) + 1n)
      const value = codec.encode(fact)
      if (value.byteLength > log.recordBytesMax)
        throw new PlatformError('LOG_RECORD_TOO_LARGE', { fact: fact.type, bytes: value.byteLength })
      return { fact, value }
    })
  }

  function take(prepared: readonly Prepared[]): void {
    for (const { fact, value } of prepared) {
      if (facts.length === 0) decidingSinceMs = clock.nowMs()
      evolve(state, fact)
      facts.push({ stream: streamOf[fact.type], key: fact.tenantId, value, seq: fact.seq })
      factBytes += value.byteLength
      react(fact)
    }
  }

  function rating(job: OpenJob, ending: Ending): Draft[] {
    const { admitted } = job
    const book = bookByHash(directory.directory(), admitted.priceBookHash)
    if (!book) throw new PlatformError('LOG_GAP', { partition, jobId: job.jobId, priceBook: admitted.priceBookHash })
    return decideRating(toEndedJob(job, ending), book)
  }

  /** What has to happen outside once the fact is committed, and never before. */
  function react(fact: Fact): void {
    if (fact.type === 'JobAdmitted') timers.add(fact.deadlineAt, fact.jobId)
    if (fact.type === 'AttemptFailed' && fact.retryAt !== null) {
      // A clock that was ahead for a while has used up the timer while the call was under way.
      const deadlineAt = state.execution.jobs.get(fact.jobId)?.admitted.deadlineAt
      if (deadlineAt !== undefined && deadlineAt <= usedUpTo) timers.add(deadlineAt, fact.jobId)
    }
    if (fact.type === 'AttemptStarted') {
      if (state.execution.jobs.get(fact.jobId)?.attempt?.pool === 'local') {
        early.add(fact.attemptId)
        call(fact.jobId)
      } else afterCommit.push(() => call(fact.jobId))
    }
    if (fact.type === 'CancelRequested') afterCommit.push(() => abort(fact.jobId))
    const effect = desk.effectOf(fact)
    if (effect) afterCommit.push(effect)
  }

  function call(jobId: string): void {
    const job = state.execution.jobs.get(jobId)
    const attempt = job?.attempt
    if (!job || !attempt) return
    const controller = new AbortController()
    calls.set(attempt.attemptId, { jobId, controller })
    const { resourceHash } = job.admitted
    const resourceRef = resourceHash === null ? null : (contentRefOf(state.accounts, job.tenantId, resourceHash) ?? '')
    runner.run(job, attempt, resourceRef, controller.signal).then(
      (outcome) => {
        calls.delete(attempt.attemptId)
        early.delete(attempt.attemptId)
        if (ended.signal.aborted) return
        outcomes.push(outcome)
        wake()
      },
      (error: unknown) => onFault({ partition, error, isStopped: false, doing: `calling for job ${jobId}` }),
    )
    if (job.isCancelRequested) controller.abort()
  }

  function abort(jobId: string): void {
    for (const running of calls.values()) if (running.jobId === jobId) running.controller.abort()
  }

  const isFull = (): boolean => facts.length >= togetherFactsMax || factBytes >= togetherBytesMax

  /** Whether what the owner decides by itself has to go on with the next commit. */
  function leaves(): boolean {
    isLeft = facts.length - ownFrom.facts >= togetherFactsMax || factBytes - ownFrom.bytes >= togetherBytesMax
    return isLeft
  }

  const isAllCommitted = (): boolean => facts.length === 0 && takenTo === tenure.committed.intakeOffset

  async function commit(): Promise<void> {
    if (isAllCommitted()) return
    const batch = facts
    const effects = afterCommit
    facts = []
    factBytes = 0
    afterCommit = []
    early.clear()
    const ends = await tenure.commit(batch, takenTo)
    cursor = advance(cursor, batch, ends)
    // Deadlines are far away and most jobs short: what has ended must not be remembered until then.
    timers.prune(state.execution.jobs.size, (jobId) => state.execution.jobs.has(jobId))
    for (const effect of effects) effect()
    report()
    if (snapshots.isDue() && state.seq === cursor.seq) void snapshots.keep(cursor)
  }

  async function drain(): Promise<void> {
    const until = clock.nowMs() + options.drainMsMax
    await commit() // What was decided beside the last one: its calls leave now, with all the time there is.
    while (calls.size > 0 && clock.nowMs() < until) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(Math.max(1, until - clock.nowMs()), resolve)
        wake = () => {
          cancel()
          resolve()
        }
        if (outcomes.length > 0) wake()
      })
      for (const outcome of outcomes.splice(0)) decideOne(outcome)
      await commit()
    }
    for (const outcome of outcomes.splice(0)) decideOne(outcome)
    await commit()
    await snapshots.keep(cursor)
  }

  function end(): void {
    ended.abort()
    for (const { controller } of calls.values()) controller.abort()
    wake()
  }

  function report(): void {
    health.seq = cursor.seq
    health.intakeOffset = tenure.committed.intakeOffset
    health.openJobs = state.execution.jobs.size
    health.running = state.execution.running.local + state.execution.running.remote
    health.queued = queueSize(state.execution.queues.local) + queueSize(state.execution.queues.remote)
    health.transfersUnderWay = desk.underWay()
  }

  return { readRequests: intake.read, settleUnderWay, work, step, commit, drain, end }
}

const deadlineOf = ({ tenantId, jobId, admitted }: OpenJob): string =>
  idFrom('timer', 'deadline', tenantId, jobId, admitted.deadlineAt)

const earliest = (...times: readonly (EpochMicros | undefined)[]): EpochMicros | undefined =>
  times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined)

/** Where the log does not say how far it is, offsets are lower bounds: one with markers between its records stands further on. */
function advance(cursor: FactCursor, facts: readonly FactRecord[], ends: FactEnds): FactCursor {
  const offsets = { ...cursor.offsets }
  for (const { stream } of facts) offsets[stream] += 1n
  return { seq: facts.at(-1)?.seq ?? cursor.seq, offsets: { ...offsets, ...ends } }
}
