/** What an owner is made of, and what it tells of itself. */
import type { Clock, Random } from '../platform/clock.ts'
import type { Log } from '../platform/log/log.ts'
import type { SnapshotStore } from '../platform/snapshots/snapshots.ts'
import type { Turns } from '../platform/turns.ts'
import type { Codec } from '../schemas/codec.ts'
import type { RequestContext } from './deciders.ts'
import type { DirectoryReader } from './directory/reader.ts'
import type { ExecutionLimits } from './execution/decide.ts'
import type { AttemptRunner } from './execution/run-attempt.ts'

export type OwnerOptions = Pick<
  RequestContext,
  'routeFor' | 'openJobsPerTenantMax' | 'openJobsPerPartitionMax' | 'attemptsMax' | 'weightOf'
> & {
  limits: ExecutionLimits
  /** Whether a call of the capability whose outcome nobody knows may be made again. */
  canRepeat(capability: string): boolean
  /** Requests decided in one batch; at least 1. */
  requestsPerBatchMax: number
  /** How long what a tenant was charged waits at most before its ancestors are told, in milliseconds. */
  rollupWaitMs: number
  /** Facts between two snapshots. */
  snapshotEveryFacts: bigint
  /** How long a stopping owner waits for calls that are under way, in milliseconds. */
  drainMsMax: number
  /** Between losing a tenure to a fault and acquiring the partition again, in milliseconds. */
  reacquireWaitMs: number
}

export type OwnerParts = {
  log: Log
  codec: Codec
  clock: Clock
  random: Random
  runner: AttemptRunner
  directory: DirectoryReader
  snapshots: SnapshotStore
  options: OwnerOptions
  /** Shared by the owners of a process, which decide and commit a few at a time. */
  takesTurn: Turns
  /** Something went wrong; `isStopped` when the partition stands still until the process is restarted. */
  onFault: (fault: { partition: number; error: unknown; isStopped: boolean; doing: string }) => void
}

export type OwnerHealth = {
  partition: number
  phase: 'acquiring' | 'restoring' | 'serving' | 'draining' | 'stopped'
  seq: bigint
  intakeOffset: bigint
  openJobs: number
  running: number
  queued: number
  /** Transfers to other tenants that are not known to be in the receiver's log yet. */
  transfersUnderWay: number
  /** Facts taken in by the last restore. */
  restoredFacts: number
  /** Facts that the restore under way has still to read; 0 when none is. */
  restoringFacts: number
  /** Calls that were under way when the last owner died, settled by this one. */
  indeterminate: number
  problem?: string
}

export type Owner = {
  health(): OwnerHealth
  /** Stops taking requests, lets calls that are under way end within the bound, commits, keeps a snapshot. */
  stop(): Promise<void>
}
