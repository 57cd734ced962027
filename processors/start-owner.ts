/** The owner role of one process: owns every partition the log assigns to it. */
import { type Capability, type Provider, routeFor } from '../capabilities/index.ts'
import type { Clock, Random } from '../platform/clock.ts'
import type { AssignmentListener, Log } from '../platform/log/log.ts'
import type { SnapshotStore } from '../platform/snapshots/snapshots.ts'
import { turns } from '../platform/turns.ts'
import type { FreshContents } from '../platform/vault/fresh-content.ts'
import type { PayloadVault } from '../platform/vault/vault.ts'
import type { Codec } from '../schemas/codec.ts'
import { directoryReader } from './directory/reader.ts'
import { attemptRunner } from './execution/run-attempt.ts'
import type { RouteStep } from './execution/state.ts'
import { startOwnerOf } from './owner.ts'
import type { Owner, OwnerHealth, OwnerOptions, OwnerParts } from './owner-parts.ts'

export type OwnerRoleOptions = Omit<OwnerOptions, 'routeFor' | 'canRepeat'>

export type OwnerRoleParts = {
  log: Log
  codec: Codec
  clock: Clock
  random: Random
  vault: PayloadVault
  fresh?: FreshContents
  snapshots: SnapshotStore
  providers: readonly Provider[]
  capabilityNamed: (name: string) => Capability | undefined
  options: OwnerRoleOptions
  onFault: OwnerParts['onFault']
}

export type OwnerRole = {
  /** Per partition this process owns. */
  health(): OwnerHealth[]
  /** Every partition that it owns is served. */
  isReady(): boolean
  /** Drains every partition side by side and gives it up. Safe to call twice. */
  stop(): Promise<void>
}

/** Partitions of a process that decide and commit at the same time: measured, more of them make smaller batches and fewer jobs. */
const deciding = 1
/** A partition whose broker is slow delays the others by no more than this; less was measured, too, and ended most turns early. */
const turnWaitMsMax = 60

/**
 * Joins the sharing of partitions and answers at once; `isReady` tells when all of them are restored. Rejects as `Log.join`
 * does, and nothing of it is left then.
 * A redelivered request or outcome is dropped by the partition's owner; nothing here keeps state of its own.
 */
export async function startOwner(parts: OwnerRoleParts): Promise<OwnerRole> {
  const { log, codec, clock, random, vault, fresh, snapshots, providers, capabilityNamed, onFault } = parts
  const fault = (error: unknown, doing: string) => onFault({ partition: -1, error, isStopped: false, doing })
  const directory = directoryReader({ log, codec, clock, onFault: (error) => fault(error, 'reading the directory') })
  const runner = attemptRunner({
    vault,
    ...(fresh && { fresh }),
    providers,
    capabilityNamed,
    clock,
    onFault: (error, jobId) => fault(error, `calling for job ${jobId}`),
  })
  const options: OwnerOptions = {
    ...parts.options,
    routeFor: (capability, model) => routeFor(capability, model ?? undefined, providers).map(toStep),
    canRepeat: (capability) => capabilityNamed(capability)?.canRepeat ?? false,
  }
  const takesTurn = turns(clock, { atOnceMax: deciding, waitMsMax: turnWaitMsMax })
  const owners = new Map<number, Owner>()
  const leaving: Promise<void>[] = []
  let isStopping = false

  const retire = (partition: number) => {
    const owner = owners.get(partition)
    owners.delete(partition)
    if (owner) leaving.push(owner.stop())
  }

  const listener: AssignmentListener = {
    gained(partition) {
      if (isStopping) return // Partitions move while it drains; this one goes on to another when it leaves.
      // A process that slept through losing it still has an owner, which would only ever hear that it is fenced.
      retire(partition)
      owners.set(
        partition,
        startOwnerOf(partition, {
          log,
          codec,
          clock,
          random,
          runner,
          directory,
          snapshots,
          options,
          takesTurn,
          onFault,
        }),
      )
    },
    lost: retire,
  }

  let leave = async () => {}
  async function stop(): Promise<void> {
    isStopping = true
    await Promise.all([...leaving, ...[...owners.values()].map((owner) => owner.stop())])
    await leave()
    await directory.stop()
    runner.close()
  }

  try {
    leave = await log.join(listener)
  } catch (error) {
    await stop()
    throw error
  }

  return {
    health: () => [...owners.values()].map((owner) => owner.health()).sort((a, b) => a.partition - b.partition),
    isReady: () => [...owners.values()].every((owner) => owner.health().phase === 'serving'),
    stop,
  }
}

/** Keys of tenants come later: until then every step uses the platform's, or needs none. */
const toStep = ({
  provider,
  model,
  pool,
}: {
  provider: string
  model: string
  pool: 'local' | 'remote'
}): RouteStep => ({
  provider,
  model,
  pool,
  keyOwner: 'platform',
  keyId: null,
})
