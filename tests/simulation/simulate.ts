/** One run: a seed makes a world, the world runs, everything that goes wrong is drawn from the seed, and everything that must hold is looked at after every step. */

import { sleep } from '../../platform/clock.ts'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { type SimulatedFaults, simulatedLog } from '../../platform/log/simulated.ts'
import { type PriceBook, parsePriceBook } from '../../pricing/index.ts'
import { replay } from '../../processors/rating/replay.ts'
import { checker, sha256 } from './checker.ts'
import { cluster } from './cluster.ts'
import { drawFaults, type FaultKind, logFaultKinds } from './faults.ts'
import { simProviders } from './provider.ts'
import { randomFor } from './random.ts'
import { scheduler as newScheduler, trueClock } from './scheduler.ts'
import { simSnapshots, simSubmissions, simVault } from './stores.ts'
import { storyOf } from './story.ts'
import { views as newViews } from './views.ts'
import { workload } from './workload.ts'

export type Run = {
  seed: number
  /** SHA-256 over every fact in the order they were committed, and when. */
  traceHash: string
  steps: number
  jobs: number
  facts: number
  /** From the first request to the last end, in simulated milliseconds. */
  simulatedMs: number
  faults: Partial<Record<FaultKind, number>>
  /** What did not hold; a run stops at the first. */
  violations: string[]
  /** The events behind the first violation. */
  story: string[]
}

export type RunOptions = {
  jobs?: number
  watch?: (text: string) => void
  /** Is given what was committed, by partition, in order of `seq`, when the run is over. */
  onLog?: (records: Uint8Array[][]) => void
}

/** Moments that calendars stumble over; a run begins shortly before one of them, or on an ordinary day. */
const startsMs = [
  '2026-10-25T00:59:40Z', // Berlin: clocks go back
  '2026-10-31T22:59:40Z', // Lagos and Berlin: month ends
  '2026-10-31T23:59:40Z', // UTC: month ends
  '2026-11-01T05:59:40Z', // New York: clocks go back
  '2027-01-30T23:59:40Z', // the day before an anchor of 31
  '2027-02-28T18:14:40Z', // Kathmandu: month ends
  '2027-03-28T00:59:40Z', // Berlin: clocks go forward
  '2026-11-12T10:00:00Z',
].map((text) => Date.parse(text))

const jobsDefault = 300
const floodMs = 40_000
const accountChanges = 20
const diskFullMsMax = 3_000
/** A crash that found nobody to hit waits so long for somebody. */
const strikeAgainMs = 100
/**
 * Everything accepted has ended by then once nothing goes wrong any more: the longest deadline (60 s), the longest call
 * (5 s), and what clocks were ahead (three jumps and a skew, 95 s) both when a job was admitted and when it was tried again.
 */
export const healedMsMax = 300_000
/** A timer that was set before its clock was set right may be seen this much late: the owner looks again every second. */
const clocksSetRightMs = 1_100
/** Moves and restarts that nothing is wrong with, in every other run: jobs that wait have nobody but the new owner to look at them. */
const movesAfterMs = [1_200, 2_000, 3_500]
const restartsAfterMs = [1_600, 2_800]
const runMsMax = 3_600_000

export async function simulate(seed: number, { jobs = jobsDefault, watch, onLog }: RunOptions = {}): Promise<Run> {
  const random = randomFor(seed, 'world')
  const startMs = random.pick(startsMs)
  const scheduler = newScheduler(startMs, randomFor(seed, 'scheduler'))
  const clock = trueClock(scheduler)
  const faults = drawFaults(randomFor(seed, 'faults'))
  const trace = sha256()
  const violations: string[] = []
  const violated = (what: string) => void violations.push(`at step ${scheduler.steps()}: ${what}`)
  const onEvent = () => {}
  const log = simulatedLog({
    partitionCount: random.whole(1, 4),
    clock,
    random: randomFor(seed, 'log'),
    faults: { delayMsMax: random.whole(0, 30), shortRead: 0.3 },
    onFault: (kind) => {
      const known = logFaultKinds.find((one) => one === kind)
      if (known) faults.fired(known)
    },
  })
  const isCrowded = random.chance(0.4)
  const places = isCrowded ? { local: 1, remote: 2 } : { local: random.whole(1, 8), remote: random.whole(1, 8) }
  const pauseFor = () => sleep(clock, random.whole(0, 15))
  const vault = simVault(faults, pauseFor, violated)
  const submissions = simSubmissions(faults, vault, pauseFor)
  const look = checker({ log, places, submissions, violated, trace })
  const snapshots = simSnapshots(faults, pauseFor)
  snapshots.onSave((partition, saved) => look.checkSnapshot(partition, saved))
  const providers = simProviders({
    scheduler,
    faults,
    random: randomFor(seed, 'providers'),
    startedJob: look.startedJob,
    violated,
    callMsMax: isCrowded ? random.whole(300, 800) : random.whole(10, 2_000),
    // In a crowd jobs are to wait.
    instantShare: isCrowded ? 0 : 0.5,
  })
  const owners = cluster({
    seed,
    scheduler,
    log,
    vault,
    snapshots,
    providers,
    faults,
    random: randomFor(seed, 'cluster'),
    violated,
    onEvent,
    onDeath: (process) => views.died(process),
    options: {
      limits: {
        places,
        attemptMsMax: random.whole(200, 5_000),
        retryBaseMs: random.whole(1, 300),
        retryMsMax: 3_000,
      },
      attemptsMax: random.whole(1, 5),
      openJobsPerTenantMax: random.pick([20, 10_000]),
      openJobsPerPartitionMax: 100_000,
      weightOf: (tenantId) => (tenantId.length % 3) + 1,
      requestsPerBatchMax: random.whole(1, 40),
      // Often enough to meet every fault; or so seldom that it wakes no owner that should have woken by itself.
      rollupWaitMs: random.chance(0.5) ? random.whole(1, 5_000) : 60_000,
      snapshotEveryFacts: BigInt(random.whole(20, 400)),
      // Long enough that every call of a crowded run ends, or not.
      drainMsMax: random.pick([500, 1_500]),
      reacquireWaitMs: 20,
    },
  })
  const clients = workload({
    seed,
    scheduler,
    log,
    vault,
    submissions,
    faults,
    random: randomFor(seed, 'clients'),
    violated,
    onEvent,
  })
  const views = newViews({ scheduler, log, faults, random: randomFor(seed, 'views'), hosts: owners.hosts, onEvent })
  let phase: 'begin' | 'flood' | 'healed' | 'done' = 'begin'
  scheduler.onStep(() => {
    look.look()
    if (phase === 'healed' && scheduler.nowMs() > floodEndMs + clocksSetRightMs)
      look.lookForIdle(scheduler.nowMs(), owners.isServing)
  })
  const hasFailed = () => violations.length > 0

  let floodEndMs = 0

  async function play(): Promise<void> {
    owners.start(log.partitionCount)
    views.start()
    await clients.begin()
    await clients.equip()
    log.setFaults(logFaults())
    phase = 'flood'
    planTrouble()
    await clients.flood(jobs, floodMs)
    phase = 'healed'
    faults.heal()
    owners.heal()
    log.setFaults(logFaults())
    floodEndMs = scheduler.nowMs()
    if (seed % 2 !== 0) return
    for (const afterMs of movesAfterMs) scheduler.after(afterMs, owners.move)
    for (const afterMs of restartsAfterMs) scheduler.after(afterMs, owners.restart)
  }

  /** None once the world has healed. With a full disk no append and no commit is stored, whatever else was drawn. */
  function logFaults(): Partial<SimulatedFaults> {
    const drawn = Object.fromEntries(logFaultKinds.map((kind) => [kind, faults.rate(kind)]))
    if (!faults.isDiskFull()) return drawn
    return { ...drawn, appendLost: 1, commitUnknownDurable: 0, commitUnknownLost: 1 }
  }

  function fillDisk(): void {
    faults.fired('diskFull')
    faults.setDiskFull(true)
    log.setFaults(logFaults())
    scheduler.after(randomFor(seed, `disk ${scheduler.nowMs()}`).whole(50, diskFullMsMax), () => {
      faults.setDiskFull(false)
      log.setFaults(logFaults())
    })
  }

  /** Crashes and changes, each at a moment of its own. */
  function planTrouble(): void {
    const trouble = randomFor(seed, 'trouble')
    /** A strike that found nobody to hit, answered by false, comes again a moment later. */
    const strikeAfter = (afterMs: number, strike: () => unknown): void => {
      scheduler.after(afterMs, () => {
        if (phase === 'flood' && strike() === false) strikeAfter(strikeAgainMs, strike)
      })
    }
    const plan = (kind: FaultKind, timesMax: number, strike: () => unknown, timesMin = 0) => {
      const times = faults.rate(kind) > 0 ? trouble.whole(Math.max(1, timesMin), timesMax) : timesMin
      for (let time = 0; time < times; time++) strikeAfter(trouble.fraction() * floodMs, strike)
    }
    plan('ownerCrash', 6, owners.crash, 3)
    plan('ownerRestarted', 3, owners.restart)
    plan('ownerMoved', 6, owners.move)
    plan('zombie', 3, owners.zombie)
    plan('clockJump', 3, owners.jumpClock)
    plan('diskFull', 2, fillDisk)
    plan('doorCrash', 3, clients.crashDoor)
    plan('viewCrash', 4, views.crash)
    plan('capLowered', 8, clients.changeCap)
    plan('capRemoved', 8, clients.changeCap)
    plan('newPrices', 3, clients.changePrices)
    for (let change = 0; change < accountChanges; change++)
      scheduler.after(trouble.fraction() * floodMs, () => void clients.changeAccount())
  }

  let failure: unknown
  void play().catch((error: unknown) => {
    failure = error
  })
  const untilMs = startMs + runMsMax
  await scheduler.run(() => hasFailed() || failure !== undefined || phase === 'healed', untilMs)
  if (failure) violated(failure instanceof Error ? failure.message : String(failure))
  const healedUntilMs = floodEndMs + healedMsMax
  const isOver = () => [...clients.accepted().keys()].every(look.isOver) && look.openJobs() === 0
  let nextLookMs = 0
  const isQuiet = () => {
    // Looking at every job after every step would cost more than the step.
    if (scheduler.nowMs() < nextLookMs) return false
    nextLookMs = scheduler.nowMs() + 100
    return isOver() && clients.asking() === 0 && look.areTransfersAtRest() && views.haveAll()
  }
  if (!hasFailed()) await scheduler.run(() => hasFailed() || isQuiet(), healedUntilMs)
  watch?.(owners.describe())
  if (!hasFailed() && !isOver()) {
    const open = [...clients.accepted().keys()].filter((jobId) => !look.isOver(jobId))
    violated(
      `${open.length} accepted jobs have not ended ${healedMsMax} ms after everything healed, ${open[0]} first; ${owners.describe()}`,
    )
  }
  if (!hasFailed() && !views.haveAll()) violated('the views have not caught up')
  if (!hasFailed()) look.finish()
  if (!hasFailed()) views.check(look.facts, violated)
  if (!hasFailed()) await checkReplay()

  /** Every tenant's charges of every month, derived again from the facts and held against facts and ledger. */
  async function checkReplay(): Promise<void> {
    const books = new Map<string, PriceBook>()
    for (let partition = 0; partition < log.partitionCount; partition++) {
      for (const fact of look.facts(partition)) {
        const parsed = fact.type === 'PriceBookPublished' ? parsePriceBook(fact.book) : undefined
        if (parsed?.ok) books.set(parsed.book.hash, parsed.book)
      }
    }
    for (const { id: tenantId } of clients.tenants) {
      const facts = look.facts(partitionOf(tenantId, log.partitionCount))
      const periods = new Set(
        facts.flatMap((fact) =>
          fact.type === 'JobAdmitted' && fact.tenantId === tenantId ? [fact.billingPeriod] : [],
        ),
      )
      for (const period of periods) {
        const report = await replay([facts], { tenantId, period, bookByHash: (hash) => books.get(hash) })
        if (report.deltaCount > 0)
          violated(`replay of ${tenantId} ${period}: ${report.deltas[0]?.kind} ${report.deltas[0]?.what}`)
      }
      if (periods.size > 1) faults.fired('periodEnd')
    }
  }

  onLog?.(
    Array.from({ length: log.partitionCount }, (_, partition) =>
      log.committedFacts(partition).map(({ value }) => value),
    ),
  )
  const everyFact = () => Array.from({ length: log.partitionCount }, (_, partition) => look.facts(partition))
  return {
    seed,
    traceHash: trace.update(`${scheduler.steps()} ${scheduler.nowMs()}`).digest('hex'),
    steps: scheduler.steps(),
    jobs: clients.accepted().size,
    facts: everyFact().reduce((sum, facts) => sum + facts.length, 0),
    simulatedMs: scheduler.nowMs() - startMs,
    faults: Object.fromEntries(faults.counts()),
    violations,
    story: violations[0] === undefined ? [] : storyOf(violations[0], everyFact()),
  }
}
