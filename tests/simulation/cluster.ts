/** Processes that own partitions, and who owns which: crashes, moves, and owners that wake up after they were replaced. */
import { capabilityNamed, type Provider } from '../../capabilities/index.ts'
import { isFailure } from '../../platform/errors.ts'
import { withHandOver } from '../../platform/log/hand-over.ts'
import type { AssignmentListener, Log, Tenure } from '../../platform/log/log.ts'
import type { SimulatedLog } from '../../platform/log/simulated.ts'
import type { SnapshotStore } from '../../platform/snapshots/snapshots.ts'
import type { PayloadVault } from '../../platform/vault/vault.ts'
import { type OwnerRole, startOwner } from '../../processors/index.ts'
import type { OwnerRoleOptions } from '../../processors/start-owner.ts'
import { testCodec } from '../../processors/testing/world.ts'
import type { Faults } from './faults.ts'
import { type SimProcess, simProcess } from './process.ts'
import { randomFor, type SimRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'

export type ClusterParts = {
  seed: number
  scheduler: Scheduler
  log: SimulatedLog
  vault: PayloadVault
  snapshots: SnapshotStore
  providers: readonly Provider[]
  options: OwnerRoleOptions
  faults: Faults
  random: SimRandom
  violated(what: string): void
  onEvent(): void
  /** Told of every process that dies. */
  onDeath(process: SimProcess): void
}

type Member = {
  process: SimProcess
  log: Log
  listener?: AssignmentListener
  role?: OwnerRole
  partitions: Set<number>
  /** By partition how many of its tenures have heard from the log that they were fenced, and have not stopped for it yet. */
  fenced: Map<number, number>
  /** By partition the tenure asked for last: as on Kafka, what becomes of those before it concerns nobody. */
  newest: Map<number, object>
  /** Partitions whose newest tenure was fenced: those alone are given again. */
  toRegain: Set<number>
}

export type Cluster = ReturnType<typeof cluster>

/** Furthest that one jump moves a clock. */
export const clockJumpMsMax = 30_000
const restartMsMax = 400
const regainMs = 30

export function cluster(parts: ClusterParts) {
  const { seed, scheduler, log, faults, random, violated } = parts
  const members: Member[] = []
  const ownerOf = new Map<number, Member>()
  let started = 0

  function startMember(): Member {
    started += 1
    const process = simProcess(`owner-${started}`, scheduler, parts.onEvent)
    const ownLog = withHandOver(process.port(log), { clock: process.clock })
    const join = async (listener: AssignmentListener) => {
      member.listener = listener
      return async () => undefined
    }
    const acquire = async (partition: number): Promise<Tenure> => {
      const mine = {}
      member.newest.set(partition, mine)
      const tenure = await ownLog.acquire(partition)
      return {
        ...tenure,
        get committed() {
          return tenure.committed
        },
        commit: (facts, intakeOffset) =>
          tenure.commit(facts, intakeOffset).catch((error: unknown) => {
            if (isFailure(error, 'LOG_FENCED')) {
              member.fenced.set(partition, (member.fenced.get(partition) ?? 0) + 1)
              if (member.newest.get(partition) === mine) member.toRegain.add(partition)
            }
            throw error
          }),
      }
    }
    const member: Member = {
      process,
      log: { ...ownLog, join, acquire },
      partitions: new Set(),
      fenced: new Map(),
      newest: new Map(),
      toRegain: new Set(),
    }
    members.push(member)
    // Every process has a clock of its own, and few are right.
    if (random.chance(faults.rate('clockSkew'))) {
      faults.fired('clockSkew')
      process.skew(random.whole(-5_000, 5_000))
    }
    void startOwner({
      log: member.log,
      codec: testCodec,
      clock: process.clock,
      random: randomFor(seed, process.name),
      vault: process.port(parts.vault),
      snapshots: process.port(parts.snapshots),
      providers: parts.providers.map((provider) => process.port(provider)),
      capabilityNamed,
      options: parts.options,
      onFault: ({ partition, error, isStopped, doing }) => {
        if (!isStopped) return
        const told = member.fenced.get(partition) ?? 0
        if (isFailure(error, 'LOG_FENCED') && told > 0) {
          member.fenced.set(partition, told - 1)
          if (member.toRegain.delete(partition)) regain(member, partition)
          return
        }
        violated(`the owner of ${partition} stopped while ${doing}: ${error instanceof Error ? error.message : error}`)
      },
    }).then((role) => {
      member.role = role
    })
    return member
  }

  /** Fenced: if the partition is still this member's by right, it takes it again. */
  function regain(member: Member, partition: number): void {
    member.listener?.lost(partition)
    member.process.clock.after(regainMs, () => {
      if (ownerOf.get(partition) === member) member.listener?.gained(partition)
    })
  }

  function give(partition: number, to: Member): void {
    ownerOf.get(partition)?.partitions.delete(partition)
    ownerOf.set(partition, to)
    to.partitions.add(partition)
    // Joining answers a moment after the process has started.
    const hand = () => {
      if (!to.listener) return void to.process.clock.after(1, hand)
      to.listener.gained(partition)
    }
    hand()
  }

  const alive = (): Member[] => members.filter(({ process }) => process.isAlive())
  const owning = (): Member[] => alive().filter(({ partitions }) => partitions.size > 0)
  const busy = (): Member | undefined => {
    const found = owning()
    return found.length === 0 ? undefined : random.pick(found)
  }
  const another = (than: Member): Member => {
    const others = alive().filter((member) => member !== than)
    return others.length > 0 && random.chance(0.7) ? random.pick(others) : startMember()
  }

  /** What it owns goes to others, each partition after a while, unless it has gone to one before. */
  function passOn(from: Member): void {
    for (const partition of [...from.partitions]) {
      scheduler.after(random.fraction() * restartMsMax, () => {
        if (ownerOf.get(partition) === from) give(partition, another(from))
      })
    }
  }

  return {
    start(partitionCount: number): void {
      const first = [startMember(), startMember()]
      for (let partition = 0; partition < partitionCount; partition++) give(partition, random.pick(first))
    },
    /** Kills a process that owns something; its partitions go to others after a while. False if none owns anything. */
    crash(): boolean {
      const victim = busy()
      if (!victim) return false
      faults.fired('ownerCrash')
      victim.process.kill()
      parts.onDeath(victim.process)
      passOn(victim)
      return true
    },
    /** A partition moves: the new owner begins, and only then is the old one told. */
    move(): void {
      const from = busy()
      if (!from) return
      faults.fired('ownerMoved')
      const partition = random.pick([...from.partitions])
      give(partition, another(from))
      scheduler.after(random.fraction() * restartMsMax, () => {
        if (from.process.isAlive() && ownerOf.get(partition) !== from) from.listener?.lost(partition)
      })
    },
    /** A process is stopped in order: it drains, and only then its partitions go to others. */
    restart(): void {
      const leaving = busy()
      if (!leaving?.role) return
      faults.fired('ownerRestarted')
      void leaving.role.stop().then(() => {
        leaving.process.kill()
        parts.onDeath(leaving.process)
        passOn(leaving)
      })
    },
    /** A process stands still for longer than others wait for it, and wakes up as if nothing had happened. */
    zombie(): void {
      const sleeper = busy()
      if (!sleeper) return
      faults.fired('zombie')
      sleeper.process.pause(restartMsMax + random.whole(100, 3_000))
      passOn(sleeper)
    },
    jumpClock(): void {
      const process = busy()?.process
      if (!process) return
      faults.fired('clockJump')
      process.skew(random.whole(-clockJumpMsMax, clockJumpMsMax))
    },
    /** Clocks are right again; what was decided by a clock that was ahead still stands in the log. */
    heal(): void {
      for (const { process } of members) process.setRight()
    },
    /** Processes that own something, with their logs, for whoever lives in one, too. */
    hosts: (): readonly Pick<Member, 'process' | 'log'>[] => owning(),
    /** Its owner by right has restored it, takes requests, and is awake. */
    isServing(partition: number): boolean {
      const owner = ownerOf.get(partition)
      if (!owner?.process.isAlive() || owner.process.isPaused()) return false
      const health = owner.role?.health()
      return health?.find((one) => one.partition === partition)?.phase === 'serving'
    },
    /** Every partition's health, as its owner by right tells it. */
    describe: (): string =>
      [...ownerOf]
        .map(([partition, { process, role }]) => {
          const health = role?.health().find((one) => one.partition === partition)
          return `${partition}: ${process.name} ${health ? `${health.phase} seq ${health.seq} open ${health.openJobs} running ${health.running} queued ${health.queued}` : 'unknown'}`
        })
        .join('; '),
  }
}
