/**
 * What must hold at every step of every run. Looks at each fact once, as soon as it is committed: most of it is left to
 * the independent verifier, which shares no code with the product.
 */
import { createHash, type Hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import type { Event } from '../../bin/demo/verify/events.ts'
import { Findings } from '../../bin/demo/verify/findings.ts'
import { OwnDirectory } from '../../bin/demo/verify/own-directory.ts'
import { TransferCheck } from '../../bin/demo/verify/own-transfers.ts'
import { PartitionCheck } from '../../bin/demo/verify/partition.ts'
import type { StoredFact } from '../../platform/log/log.ts'
import type { SimulatedLog } from '../../platform/log/simulated.ts'
import type { StoredSnapshot } from '../../platform/snapshots/snapshots.ts'
import { emptyPartitionState, evolve, type PartitionState } from '../../processors/partition-state.ts'
import { testCodec } from '../../processors/testing/world.ts'
import { type Fact, streamOf } from '../../schemas/events.generated.ts'
import { keyOfJob } from '../../schemas/ids.ts'
import { fairnessCheck } from './fairness-check.ts'
import type { SimSubmissions } from './stores.ts'

export type Checker = ReturnType<typeof checker>

type JobLife = {
  tenantId: string
  inputTokensMax: bigint
  outputTokensMax: bigint
  admitted?: Fact & { type: 'JobAdmitted' }
  attempts: number
  /** Not before this moment may it start. */
  readyAt: bigint
  isOver: boolean
}

/** Between looking for what is late and filling the places no more than this passes. */
const lateMicrosMax = 100_000n
/** A serving owner is back from its commit by then, and looks. */
const idleMsMax = 500

export function checker({
  log,
  places,
  submissions,
  violated,
  trace,
}: {
  log: SimulatedLog
  places: { local: number; remote: number }
  submissions: Pick<SimSubmissions, 'wasLost'>
  violated: (what: string) => void
  trace: Hash
}) {
  const findings = new Findings()
  const directory = new OwnDirectory()
  const transfers = new TransferCheck(directory, findings)
  const partitions = Array.from({ length: log.partitionCount }, (_, partition) => ({
    facts: [] as Fact[],
    check: new PartitionCheck(partition, directory, findings),
    /** Calls under way, by job, and in which pool. */
    running: new Map<string, 'local' | 'remote'>(),
    fairness: { local: fairnessCheck(violated), remote: fairnessCheck(violated) },
    /** Jobs that wait for a place, or for their next attempt. */
    waiting: new Set<string>(),
    /** Since when a place has been free for a job that was ready for it, in milliseconds. */
    idleSinceMs: undefined as number | undefined,
  }))
  const startedAttempts = new Map<string, string>()
  const jobs = new Map<string, JobLife>()
  const keys = new Set<string>()
  let taken = 0
  let told = 0
  let isFinished = false

  function takeStored(partition: number, stored: StoredFact): void {
    trace.update(stored.value)
    const fact = testCodec.decode(stored.value) as Fact
    if (fact.seq !== stored.seq) violated(`a fact says seq ${fact.seq} and stands at ${stored.seq}`)
    if (fact.tenantId !== stored.key) violated(`a fact of ${fact.tenantId} stands under the key ${stored.key}`)
    partitions[partition]?.facts.push(fact)
    take(partition, fact)
  }

  function take(partition: number, fact: Fact): void {
    if (streamOf[fact.type] === 'directory')
      for (const says of directory.take(fact as Event, new Set())) violated(`${fact.type}: ${says}`)
    partitions[partition]?.check.take(fact as Event)
    transfers.take(fact as Event)
    switch (fact.type) {
      case 'RequestRefused':
        if (fact.requestType === 'TransferArrived')
          violated(`a transfer to ${fact.tenantId} from ${fact.subject} was refused: ${fact.reason}`)
        return
      case 'JobSubmitted': {
        const { tenantId, inputTokensMax, outputTokensMax } = fact
        const key = keyOfJob(fact.jobId)
        if (keys.has(key) && !submissions.wasLost(fact.jobId))
          violated(`job ${fact.jobId} of ${tenantId} is not the first of its key, whose row was never lost`)
        keys.add(key)
        jobs.set(fact.jobId, { tenantId, inputTokensMax, outputTokensMax, attempts: 0, readyAt: 0n, isOver: false })
        return
      }
      case 'JobAdmitted': {
        const job = jobs.get(fact.jobId)
        if (job) Object.assign(job, { admitted: fact, readyAt: fact.occurredAt })
        partitions[partition]?.waiting.add(fact.jobId)
        return
      }
      case 'AttemptStarted':
        startedAttempts.set(fact.attemptId, fact.jobId)
        return started(partition, fact)
      case 'AttemptFailed': {
        partitions[partition]?.running.delete(fact.jobId)
        const job = jobs.get(fact.jobId)
        if (!job || fact.retryAt === null) return
        job.readyAt = fact.retryAt
        partitions[partition]?.waiting.add(fact.jobId)
        return
      }
      case 'JobSucceeded':
      case 'JobFailed':
      case 'JobCancelled':
        partitions[partition]?.running.delete(fact.jobId)
        if (partitions[partition]?.waiting.delete(fact.jobId))
          for (const fairness of Object.values(partitions[partition].fairness)) fairness.left(fact.tenantId)
        return
      case 'JobRefused':
      case 'JobRated': {
        const job = jobs.get(fact.jobId)
        if (job) job.isOver = true
        return
      }
    }
  }

  function started(partition: number, fact: Fact & { type: 'AttemptStarted' }): void {
    const running = partitions[partition]?.running ?? new Map<string, 'local' | 'remote'>()
    const pool = fact.provider === 'local' ? 'local' : 'remote'
    running.set(fact.jobId, pool)
    const taken = [...running.values()].filter((one) => one === pool).length
    if (taken > places[pool]) violated(`${taken} calls under way in ${places[pool]} ${pool} places at seq ${fact.seq}`)
    partitions[partition]?.waiting.delete(fact.jobId)
    const job = jobs.get(fact.jobId)
    if (job) job.attempts += 1
    const deadlineAt = job?.admitted?.deadlineAt ?? 0n
    if (job?.admitted) {
      const { schedulingCost, schedulingWeight } = job.admitted
      const ready = { cost: Number(schedulingCost), weight: schedulingWeight, readyAt: job.readyAt }
      partitions[partition]?.fairness[pool].started({ tenantId: job.tenantId, ...ready }, fact.occurredAt)
    }
    if (fact.occurredAt >= deadlineAt)
      violated(`job ${fact.jobId} was started ${fact.occurredAt - deadlineAt} µs after its deadline`)
    for (const jobId of partitions[partition]?.waiting ?? [])
      if (fact.occurredAt > (jobs.get(jobId)?.admitted?.deadlineAt ?? 0n) + lateMicrosMax)
        violated(`job ${fact.jobId} was started while ${jobId} waited past its deadline`)
  }

  function complain(): void {
    for (; told < findings.problems.length; told++) {
      const problem = findings.problems[told]
      if (problem) violated(`${problem.check}: ${problem.says} (job ${problem.jobId ?? 'none'}, seq ${problem.seq})`)
    }
  }

  return {
    /** Call after every step. */
    look(): void {
      const history = log.history()
      for (; taken < history.length; taken++) {
        const next = history[taken]
        if (next) takeStored(next.partition, next.fact)
      }
      complain()
    },
    /** Call after every step once nothing goes wrong any more: a free place and a job that is ready for it find each other. */
    lookForIdle(nowMs: number, isServing: (partition: number) => boolean): void {
      for (const [partition, known] of partitions.entries()) {
        const free = (pool: 'local' | 'remote') =>
          [...known.running.values()].filter((one) => one === pool).length < places[pool]
        const isFree = { local: free('local'), remote: free('remote') }
        const idle = [...known.waiting].find((jobId) => {
          const job = jobs.get(jobId)
          if (!job?.admitted || job.readyAt > BigInt(Math.floor(nowMs)) * 1_000n) return false
          const step = job.admitted.route[job.attempts % job.admitted.route.length]
          return isFree[step?.pool === 'local' ? 'local' : 'remote']
        })
        known.idleSinceMs = idle === undefined || !isServing(partition) ? undefined : (known.idleSinceMs ?? nowMs)
        if (known.idleSinceMs !== undefined && nowMs - known.idleSinceMs > idleMsMax)
          violated(`places of partition ${partition} have been free for ${idleMsMax} ms while job ${idle} was ready`)
      }
    },
    /** The job whose attempt the log says has started. */
    startedJob({ attemptId, jobId, tenantId }: { attemptId: string; jobId: string; tenantId: string }) {
      const job = jobs.get(jobId)
      return startedAttempts.get(attemptId) === jobId && job?.tenantId === tenantId ? job : undefined
    },
    isOver: (jobId: string): boolean => jobs.get(jobId)?.isOver ?? false,
    /** Every ancestor has been told of everything. */
    areTransfersAtRest: (): boolean => transfers.isAtRest(),
    openJobs: (): number => [...jobs.values()].filter(({ isOver }) => !isOver).length,
    facts: (partition: number): readonly Fact[] => partitions[partition]?.facts ?? [],
    /** A snapshot is the fold of the facts up to it, and nothing else: what an owner has in memory is what the log says. */
    checkSnapshot(partition: number, { seq, body }: StoredSnapshot): void {
      const kept = deserialize(body) as PartitionState
      const wanted = foldTo(partitions[partition]?.facts ?? [], seq, kept.admission.answered.secret)
      if (wanted.seq !== seq) return // Saved by an owner that was ahead of what the observer has seen; the next one will do.
      if (!isDeepStrictEqual(kept, deserialize(serialize(wanted))))
        violated(`the state of partition ${partition} at seq ${seq} is not the fold of its facts`)
    },
    /** Call once everything has ended. */
    finish(): void {
      if (isFinished) return
      isFinished = true
      for (const { check } of partitions) check.finish(false)
      transfers.finish(true)
      complain()
    },
  }
}

/** With the secret that an owner has chosen for its tables of ids: all else follows from the facts. */
function foldTo(facts: readonly Fact[], seq: bigint, secret: string): PartitionState {
  const state = emptyPartitionState(secret)
  for (const fact of facts) {
    if (fact.seq > seq) break
    evolve(state, fact)
  }
  return state
}

export const sha256 = (): Hash => createHash('sha256')
