/** A partition's owner on the simulated log, with everything around it in memory: for tests of the owner itself. */
import { createHash } from 'node:crypto'
import type { CallOutcome, Provider } from '../../capabilities/index.ts'
import { noTokens } from '../../capabilities/index.ts'
import { type Clock, type Random, systemClock } from '../../platform/clock.ts'
import { type Log, startOfFacts, type Tenure } from '../../platform/log/log.ts'
import { type SimulatedFaults, type SimulatedLog, simulatedLog } from '../../platform/log/simulated.ts'
import type { SnapshotStore, StoredSnapshot } from '../../platform/snapshots/snapshots.ts'
import { turns } from '../../platform/turns.ts'
import type { FreshContents } from '../../platform/vault/fresh-content.ts'
import type { PayloadVault } from '../../platform/vault/vault.ts'
import { codecFor } from '../../schemas/codec.ts'
import type { Fact, Request, RequestBody } from '../../schemas/events.generated.ts'
import { eventNames, readOwnSchemas } from '../../schemas/own-schemas.ts'
import { directoryReader } from '../directory/reader.ts'
import { attemptRunner } from '../execution/run-attempt.ts'
import { startOwnerOf } from '../owner.ts'
import type { Owner, OwnerOptions, OwnerParts } from '../owner-parts.ts'
import { book, local, submit, tenantId } from './given.ts'

const ownSchemas = readOwnSchemas()
export const testCodec = codecFor(
  {
    idOf: (name) => eventNames.indexOf(name) + 1,
    schemaOf(id) {
      const name = eventNames[id - 1]
      const schema = name && ownSchemas.get(name)
      return name && schema !== undefined ? { name, schema } : undefined
    },
  },
  ownSchemas,
)

/** mulberry32 (Tommy Ettinger, public domain): small, seeded, good enough to vary a test. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { fraction, bytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(fraction() * 256)) }
}

/** Keeps payloads as they are: the real vault has tests of its own. */
export function plainVault(): PayloadVault & { contents: Map<string, Uint8Array> } {
  const contents = new Map<string, Uint8Array>()
  const receipt = (ref: string, content: Uint8Array) => ({
    ref,
    bytes: content.length,
    mac: createHash('sha256').update(content).digest('hex'),
  })
  const getMany = async (wanted: readonly { ref: string }[]) => {
    const found = new Map<string, Uint8Array>()
    for (const { ref } of wanted) {
      const content = contents.get(ref)
      if (content) found.set(ref, content)
    }
    return found
  }
  return {
    contents,
    seal: async (payloads) => payloads.map((p) => ({ receipt: receipt(p.ref, p.content), row: { ref: p.ref } })),
    store: async () => {},
    put: async (payloads) =>
      payloads.map(({ ref, content }) => {
        if (!contents.has(ref)) contents.set(ref, content)
        return receipt(ref, content)
      }),
    get: (_, refs) => getMany(refs.map((ref) => ({ ref }))),
    getMany,
    has: async (_, ref) => contents.has(ref),
  }
}

export function memorySnapshots(): SnapshotStore & { kept: Map<number, StoredSnapshot[]> } {
  const kept = new Map<number, StoredSnapshot[]>()
  return {
    kept,
    save: async (partition, snapshot) =>
      void kept.set(partition, [snapshot, ...(kept.get(partition) ?? [])].slice(0, 2)),
    load: async (partition) => kept.get(partition) ?? [],
  }
}

export type World = ReturnType<typeof world>

export type WorldOptions = {
  seed?: number
  clock?: Clock
  faults?: Partial<SimulatedFaults>
  options?: Partial<OwnerOptions>
  call?: Provider['call']
  /** Of the one provider; default local. */
  pool?: 'local' | 'remote'
  fresh?: Pick<FreshContents, 'keep' | 'take'>
  /** Other partitions of the process always wait for a turn of their own. */
  othersWait?: boolean
}

export function world({
  seed = 1,
  clock = systemClock,
  faults = {},
  options = {},
  call,
  pool = 'local',
  fresh,
  othersWait = false,
}: WorldOptions = {}) {
  const random = seededRandom(seed)
  const log: SimulatedLog = simulatedLog({ partitionCount: 1, clock, random, faults })
  const vault = plainVault()
  vault.contents.set('p', new TextEncoder().encode('{"input":{"text":"hello"},"params":{}}'))
  const snapshots = memorySnapshots()
  const problems: Parameters<OwnerParts['onFault']>[0][] = []
  const calls: string[] = []
  const answer = async (): Promise<CallOutcome> => ({
    ok: true,
    result: { label: 'x' },
    usage: { ...noTokens, inputUncachedTokens: 7n, outputTokens: 1n, source: 'counted' },
  })
  const provider: Provider = {
    name: 'local',
    pool,
    modelFor: () => 'linear-1',
    call(one, signal) {
      calls.push(one.attemptId)
      return (call ?? answer)(one, signal)
    },
    close: async () => {},
  }
  const onFault: OwnerParts['onFault'] = (problem) => void problems.push(problem)
  let requestNo = 0
  const ownerOptions: OwnerOptions = {
    limits: { places: { local: 8, remote: 8 }, attemptMsMax: 5_000, retryBaseMs: 2, retryMsMax: 20 },
    routeFor: () => [{ ...local, pool }],
    canRepeat: () => true,
    weightOf: () => 1,
    openJobsPerTenantMax: 10_000,
    openJobsPerPartitionMax: 100_000,
    attemptsMax: 4,
    requestsPerBatchMax: 50,
    snapshotEveryFacts: 1_000_000n,
    drainMsMax: 2_000,
    reacquireWaitMs: 2,
    rollupWaitMs: 3_600_000,
    ...options,
  }

  function start(more: Partial<OwnerOptions> = {}): Owner & { end(): Promise<void> } {
    const directory = directoryReader({ log, codec: testCodec, clock, onFault: () => {} })
    const runner = attemptRunner({
      vault,
      ...(fresh && { fresh }),
      providers: [provider],
      capabilityNamed: () => undefined,
      clock,
      onFault: (error) => onFault({ partition: 0, error, isStopped: false, doing: 'calling' }),
    })
    const owner = startOwnerOf(0, {
      log,
      codec: testCodec,
      clock,
      random,
      runner,
      directory,
      snapshots,
      takesTurn: othersWait ? (run) => run(() => true) : turns(clock, { atOnceMax: 1, waitMsMax: 25 }),
      onFault,
      options: { ...ownerOptions, ...more },
    })
    return {
      health: owner.health,
      stop: owner.stop,
      async end() {
        await owner.stop()
        await directory.stop()
      },
    }
  }

  const encode = (body: RequestBody, more: Partial<Request> = {}) => {
    requestNo += 1
    const request: Request = {
      tenantId,
      requestId: `req_${requestNo}`,
      requestedAt: 0n,
      actor: 'token:t',
      correlationId: `c_${requestNo}`,
      directoryVersion: 0n,
      traceparent: null,
      ...body,
      ...more,
    } as Request
    return { key: request.tenantId, value: testCodec.encode(request) }
  }

  /** Appends requests as a door does: again and again until the log has them. */
  async function ask(...bodies: RequestBody[]): Promise<void> {
    const records = bodies.map((body) => encode(body))
    for (let tries = 0; tries < 1_000; tries++) {
      try {
        await log.append(records)
        return
      } catch {
        // Perhaps it was stored: the owner drops the second.
      }
    }
    throw new Error('the simulated log took nothing in 1,000 tries')
  }

  async function facts(): Promise<Fact[]> {
    const all: Fact[] = []
    let cursor = startOfFacts
    for (;;) {
      const read = await log.readFacts(0, cursor, { recordsMax: 1_000, waitMs: 0 })
      if (read.facts.length === 0) return all
      all.push(...read.facts.map((fact) => testCodec.decode(fact.value) as Fact))
      cursor = read.cursor
    }
  }

  /** Polls until the facts satisfy `isDone`; fails loudly after `waitMsMax`. */
  async function until(isDone: (all: Fact[]) => boolean, waitMsMax = 10_000): Promise<Fact[]> {
    const end = Date.now() + waitMsMax
    for (;;) {
      const all = await facts()
      if (isDone(all)) return all
      if (Date.now() > end)
        throw new Error(
          `not reached: ${JSON.stringify(tally(all))} ${problems
            .map((p) => `${p.doing}: ${p.error}`)
            .slice(-5)
            .join('; ')}`,
        )
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  const begin = async () => {
    await ask({
      type: 'RegisterTenant',
      registeredTenantId: tenantId,
      level: 'client',
      parentId: 'platform',
      name: 'Harbor',
      currency: 'USD',
      timeZone: 'UTC',
    })
    await ask({ type: 'PublishPrices', hash: book.hash, book: book.text })
    await until((all) => all.some((f) => f.type === 'PriceBookPublished'))
  }

  return {
    log,
    vault,
    snapshots,
    problems,
    calls,
    ownerOptions,
    start,
    ask,
    encode,
    facts,
    until,
    begin,
    submit,
    random,
  }
}

/** Lets a test change every tenure that is acquired from now on. */
export function changeTenures(log: Pick<Log, 'acquire'>, change: (tenure: Tenure) => void): void {
  const acquire = log.acquire
  log.acquire = async (partition) => {
    const tenure = await acquire(partition)
    change(tenure)
    return tenure
  }
}

/** Of a job that succeeds at the first attempt. */
export const jobLife = ['JobSubmitted', 'JobAdmitted', 'AttemptStarted', 'JobSucceeded', 'UsageMetered', 'JobRated']

/** A record that holds no request. */
export const unreadable = Uint8Array.of(0, 0, 0, 9, 9, 1, 2)

export const ids = (count: number, prefix = 'job'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

/** Whether so many jobs are rated. */
export const rated =
  (count: number) =>
  (facts: readonly Fact[]): boolean =>
    facts.filter(({ type }) => type === 'JobRated').length >= count

export const tally = (facts: readonly Fact[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { type } of facts) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

/** Everything that must hold of any history, whatever happened; throws with what does not. */
export function checkHistory(facts: readonly Fact[]): void {
  const problems: string[] = []
  const open = new Map<string, 'admitted' | 'ended' | 'rated'>()
  const attempts = new Map<string, number>()
  facts.forEach((fact, index) => {
    if (fact.seq !== BigInt(index) + 1n) problems.push(`seq ${fact.seq} at ${index}`)
    const before = facts[index - 1]
    if (before && fact.occurredAt < before.occurredAt) problems.push(`time goes back at ${fact.seq}`)
    if (!('jobId' in fact)) return
    const state = open.get(fact.jobId)
    const expectState = (wanted: typeof state) => {
      if (state !== wanted) problems.push(`${fact.type} of ${fact.jobId} at ${fact.seq} while ${state}`)
    }
    switch (fact.type) {
      case 'JobAdmitted':
        expectState(undefined)
        for (const cap of fact.caps) {
          if (cap.settledBefore + cap.heldBefore + cap.held > cap.limit)
            problems.push(`cap ${cap.capId} passed at ${fact.seq}`)
        }
        open.set(fact.jobId, 'admitted')
        return
      case 'AttemptStarted':
        expectState('admitted')
        if (fact.attemptNo !== (attempts.get(fact.jobId) ?? 0) + 1)
          problems.push(`attempt ${fact.attemptNo} of ${fact.jobId}`)
        attempts.set(fact.jobId, fact.attemptNo)
        return
      case 'JobSucceeded':
      case 'JobFailed':
      case 'JobCancelled':
        expectState('admitted')
        open.set(fact.jobId, 'ended')
        return
      case 'JobRated':
        expectState('ended')
        open.set(fact.jobId, 'rated')
        return
    }
  })
  const ids = new Set(facts.map((fact) => fact.eventId))
  if (ids.size !== facts.length) problems.push(`${facts.length - ids.size} event ids stand twice`)
  if (problems.length > 0) throw new Error(problems.slice(0, 10).join('\n'))
}
