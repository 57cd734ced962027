/**
 * Whole histories for tests: every event there is, many tenants, jobs of which many are open at once and which end in
 * every way, caps that are set, changed and removed while jobs hold them. Drawn from a seed.
 */
import type { Random } from '../../platform/clock.ts'
import type { FactRecord, Log } from '../../platform/log/log.ts'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { type Codec, codecFor, type SchemaRegistry } from '../../schemas/codec.ts'
import {
  type Fact,
  type FactBody,
  type FactHeader,
  type JobAdmittedCapHold,
  type JobRatedSettlement,
  streamOf,
} from '../../schemas/events.generated.ts'
import { eventNames, readOwnSchemas } from '../../schemas/own-schemas.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import {
  admitted,
  attemptFailed,
  bookPublished,
  cancelled,
  capSet,
  dayMicros,
  failed,
  labelSetRegistered,
  metered,
  noon,
  rated,
  ratedUntried,
  refused,
  rollupLine,
  Stamp,
  started,
  submitted,
  succeeded,
  tenantRegistered,
  tokenIssued,
  transferTaken,
} from './facts.ts'

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

const ownSchemas = readOwnSchemas()
export const testRegistry: SchemaRegistry = {
  idOf: (name) => eventNames.indexOf(name) + 1,
  schemaOf(id) {
    const name = eventNames[id - 1]
    const schema = name && ownSchemas.get(name)
    return name && schema !== undefined ? { name, schema } : undefined
  },
}
export const testCodec: Codec = codecFor(testRegistry, ownSchemas)

type Cap = {
  capId: string
  version: bigint
  countsFrom: bigint
  metric: 'requests' | 'tokens' | 'money'
  inForce: boolean
}
type OpenJob = {
  jobId: string
  memberId: string | null
  holds: JobAdmittedCapHold[]
  attempts: number
  isRunning: boolean
}
type TenantLife = {
  tenantId: string
  caps: Map<string, Cap>
  open: OpenJob[]
  tokens: string[]
  erasures: string[]
  erasuresMade: number
  transfers: bigint
}

export type History = { partitionCount: number; byPartition: Fact[][]; tenants: string[] }

/** About ten facts a job. */
export function history(options: {
  seed: number
  jobs: number
  partitionCount?: number
  tenantCount?: number
}): History {
  const { seed, jobs, partitionCount = 2, tenantCount = 4 } = options
  const { fraction } = seededRandom(seed)
  const stamps = Array.from({ length: partitionCount }, () => new Stamp())
  const byPartition: Fact[][] = stamps.map(() => [])
  const below = (count: number): number => Math.floor(fraction() * count)
  const pick = <T>(items: readonly T[]): T | undefined => items[below(items.length)]
  let requests = 0n

  function emit(tenantId: string, body: FactBody, header: Partial<FactHeader> = {}): Fact {
    const partition = partitionOf(tenantId, partitionCount)
    const stamp = stamps[partition]
    if (!stamp) throw new Error('no such partition')
    stamp.now += BigInt(below(20_000_000)) // Long histories cross midnights.
    const fact = stamp.fact(tenantId, body, { eventId: `evt_${partition}_${stamp.seq}`, ...header })
    byPartition[partition]?.push(fact)
    return fact
  }
  const answer = (tenantId: string, body: FactBody): Fact =>
    emit(tenantId, body, {
      causedBy: `req_${++requests}`,
      intakeOffset: requests,
      traceparent: requests % 3n === 0n ? '00-aa-bb-01' : null,
    })

  const lives = Array.from(
    { length: tenantCount },
    (_, n): TenantLife => ({
      tenantId: `tenant-${n}`,
      caps: new Map(),
      open: [],
      tokens: [],
      erasures: [],
      erasuresMade: 0,
      transfers: 0n,
    }),
  )
  answer(platformTenantId, bookPublished('book-0', 0n))
  for (const [n, { tenantId }] of lives.entries())
    answer(
      platformTenantId,
      tenantRegistered(tenantId, n === 0 ? 'platform' : 'tenant-0', n === 0 ? 'partner' : 'client'),
    )
  for (const { tenantId } of lives) answer(tenantId, labelSetRegistered('mails', `set-${tenantId}`))

  let submittedJobs = 0
  while (submittedJobs < jobs || lives.some((life) => life.open.length > 0)) {
    const life = pick(lives)
    if (!life) throw new Error('no tenants')
    const dice = below(100)
    if (dice < 14) changeAccount(life)
    else if (dice < 18) changeCap(life)
    else if (dice < 35 && submittedJobs < jobs) submitOne(life, `job-${submittedJobs++}`)
    else moveOn(life)
  }
  return { partitionCount, byPartition, tenants: lives.map((life) => life.tenantId) }

  function changeAccount(life: TenantLife): void {
    const { tenantId, tokens } = life
    const kind = below(11)
    if (kind === 0)
      answer(
        platformTenantId,
        bookPublished(`book-${below(9)}`, noon + BigInt(below(9)) * dayMicros, pick(['USD', 'EUR']) ?? 'USD'),
      )
    else if (kind === 1)
      answer(tenantId, labelSetRegistered(pick(['mails', 'calls']) ?? 'mails', `set-${below(1_000)}`))
    else if (kind === 2) {
      const tokenId = `tok-${tenantId}-${tokens.length}`
      tokens.push(tokenId)
      answer(tenantId, tokenIssued(tokenId, `hash-${tokenId}`, below(2) === 0 ? null : noon))
    } else if (kind === 3 && tokens.length > 0) answer(tenantId, { type: 'TokenRevoked', tokenId: pick(tokens) ?? '' })
    else if (kind === 4)
      answer(tenantId, {
        type: 'MemberAdded',
        memberId: pick(['ann', 'ben']) ?? 'ann',
        kind: pick(['agent', 'staff', 'user'] as const) ?? 'user',
      })
    else if (kind === 6)
      answer(tenantId, {
        type: 'AdminActed',
        justification: 'Support case 4711',
        method: 'GET',
        route: '/v1/tenants/{t}/caps',
        path: `/v1/tenants/${tenantId}/caps`,
      })
    else if (kind === 8) answer(tenantId, { type: 'RetentionSet', contentDays: 7 + below(84) })
    else if (kind === 9 || life.erasures.length === 0) {
      const erasureId = `era-${life.erasuresMade++}`
      life.erasures.push(erasureId)
      answer(tenantId, { type: 'ErasureRequested', erasureId })
    } else if (kind === 10)
      answer(tenantId, { type: 'ContentErased', erasureId: life.erasures.pop() ?? '', keys: 3n, payloads: 70n })
    else if (kind === 5) answer(tenantId, { type: 'MemberRemoved', memberId: pick(['ann', 'ben']) ?? 'ann' })
    else
      answer(tenantId, {
        type: 'RequestRefused',
        requestType: 'RemoveCap',
        reason: 'cap_unknown',
        subject: 'no\u0000such',
      })
  }

  function changeCap(life: TenantLife): void {
    const capId = `cap-${below(4)}`
    const known = life.caps.get(capId)
    const version = (known?.version ?? 0n) + 1n
    if (known?.inForce && below(3) === 0) {
      life.caps.set(capId, { ...known, version, inForce: false })
      answer(life.tenantId, { type: 'CapRemoved', capId, version })
      return
    }
    const goesOn = known?.inForce && below(2) === 0
    const metric = goesOn ? known.metric : (pick(['requests', 'tokens', 'money'] as const) ?? 'money')
    const countsFrom = goesOn ? known.countsFrom : (stamps[partitionOf(life.tenantId, partitionCount)]?.now ?? noon)
    life.caps.set(capId, { capId, version, countsFrom, metric, inForce: true })
    answer(life.tenantId, capSet(capId, { version, countsFrom, metric, limit: 10n ** BigInt(below(15)) }))
  }

  function submitOne(life: TenantLife, jobId: string): void {
    const memberId = pick([null, 'ann', 'ben']) ?? null
    const asked = answer(life.tenantId, submitted(jobId, { memberId, maxCharge: below(4) === 0 ? 10n ** 20n : null }))
    const { causedBy, intakeOffset, occurredAt } = asked
    if (below(6) === 0) {
      const cap = {
        capId: 'cap-0',
        capVersion: 1n,
        metric: 'money' as const,
        limit: 10n ** 21n,
        free: 1n,
        needed: 2n,
        periodStart: noon,
        resetsAt: null,
      }
      emit(
        life.tenantId,
        refused(jobId, {
          memberId,
          reason: below(2) === 0 ? 'over_cap' : 'unpriced',
          cap: below(2) === 0 ? cap : null,
        }),
        { causedBy, intakeOffset },
      )
      return
    }
    const holds = [...life.caps.values()]
      .filter((cap) => cap.inForce)
      .map(
        (cap): JobAdmittedCapHold => ({
          capId: cap.capId,
          capVersion: cap.version,
          periodStart: occurredAt - (occurredAt % dayMicros),
          periodEnd: occurredAt - (occurredAt % dayMicros) + dayMicros,
          metric: cap.metric,
          limit: 10n ** 20n,
          settledBefore: 0n,
          heldBefore: 0n,
          held: cap.metric === 'requests' ? 1n : BigInt(1 + below(1_000_000)) * 10n ** 10n,
        }),
      )
    emit(life.tenantId, admitted(jobId, { memberId, caps: holds }), { causedBy, intakeOffset })
    life.open.push({ jobId, memberId, holds, attempts: 0, isRunning: false })
  }

  function moveOn(life: TenantLife): void {
    const job = pick(life.open)
    if (!job) return
    const { tenantId } = life
    const dice = below(10)
    if (!job.isRunning && dice > 0) {
      job.attempts += 1
      job.isRunning = true
      emit(tenantId, started(job.jobId, job.attempts))
    } else if (!job.isRunning) {
      end(life, job, job.attempts === 0 ? 'untried' : 'cancelled')
    } else if (dice < 2 && job.attempts < 3) {
      job.isRunning = false
      emit(tenantId, attemptFailed(job.jobId, job.attempts, noon))
    } else if (dice === 2) {
      emit(tenantId, attemptFailed(job.jobId, job.attempts, null))
      end(life, job, 'failed')
    } else if (dice === 3) {
      answer(tenantId, { type: 'CancelRequested', jobId: job.jobId })
      end(life, job, 'cancelled')
    } else end(life, job, 'succeeded')
  }

  function end(life: TenantLife, job: OpenJob, how: 'succeeded' | 'failed' | 'cancelled' | 'untried'): void {
    const { tenantId } = life
    const { jobId, memberId, attempts, holds } = job
    life.open.splice(life.open.indexOf(job), 1)
    const settle = (metrics: readonly string[], share: bigint): JobRatedSettlement[] =>
      holds
        .filter((hold) => metrics.includes(hold.metric))
        .map(({ capId, capVersion, periodStart, metric, held }) => ({
          capId,
          capVersion,
          periodStart,
          metric,
          held,
          settled: share === 0n ? 0n : metric === 'requests' ? 1n : held / share,
        }))
    if (how === 'untried') {
      emit(tenantId, cancelled(jobId, 0))
      emit(tenantId, ratedUntried(jobId, { memberId, settlements: settle(['requests', 'tokens', 'money'], 0n) }))
      return
    }
    emit(
      tenantId,
      how === 'succeeded'
        ? succeeded(jobId, attempts)
        : how === 'failed'
          ? failed(jobId, attempts)
          : cancelled(jobId, attempts),
    )
    emit(
      tenantId,
      metered(jobId, {
        memberId,
        attemptNo: attempts,
        inputUncachedTokens: BigInt(below(500)),
        settlements: settle(['tokens'], 3n),
      }),
    )
    if (below(8) === 0)
      emit(tenantId, { type: 'HoldExceeded', jobId, metric: 'tokens', held: 1n, actual: 3n, excess: 2n })
    const amountPico = 10n ** 21n + BigInt(below(1_000)) // Beyond eight bytes.
    const line = { lineId: `line_${jobId}`, kind: 'request' as const, quantity: 1n, pricePico: amountPico, amountPico }
    const charge = how === 'failed' ? { chargedPico: 0n, lines: [] } : { chargedPico: amountPico, lines: [line] }
    emit(
      tenantId,
      rated(jobId, {
        memberId,
        outcome: how,
        attempts,
        providerCostPico: below(3) === 0 ? null : 7n,
        ...charge,
        settlements: settle(['requests', 'money'], 2n),
      }),
    )
    tellAbove(life)
  }

  /** All but the first have two ancestors, the first has one. */
  function tellAbove(life: TenantLife): void {
    const { tenantId } = life
    life.transfers += 1n
    const number = life.transfers
    const above = tenantId === 'tenant-0' ? [platformTenantId] : ['tenant-0', platformTenantId]
    const rollup = [rollupLine({ chargedPico: 10n ** 21n + number, outputTokens: number })]
    for (const toTenantId of above)
      emit(tenantId, { type: 'TransferSent', toTenantId, number, kind: 'rollup', directoryVersion: 2n, rollup })
    emit(tenantId, { type: 'TransferForwarded', transfers: above.map((toTenantId) => ({ toTenantId, number })) })
    for (const toTenantId of above) answer(toTenantId, transferTaken(tenantId, number, rollup))
  }
}

/** As it comes out of the log: with its fields in the order of the schema. */
export const asRead = (fact: Fact): Fact => testCodec.decode(testCodec.encode(fact)) as Fact

export const recordOf = (fact: Fact): FactRecord => ({
  stream: streamOf[fact.type],
  key: fact.tenantId,
  value: testCodec.encode(fact),
  seq: fact.seq,
})

/** Of every partition the facts from one on, up to another. */
export const partOf = (past: History, from: number, to?: number): History => ({
  ...past,
  byPartition: past.byPartition.map((facts) => facts.slice(from, to)),
})

/** Commits the facts of every partition, in transactions of `factsPerCommit`. */
export async function writeHistory(
  log: Log,
  { byPartition }: Pick<History, 'byPartition'>,
  factsPerCommit = 500,
): Promise<void> {
  for (const [partition, facts] of byPartition.entries()) {
    const tenure = await log.acquire(partition)
    for (let at = 0; at < facts.length; at += factsPerCommit) {
      await tenure.commit(facts.slice(at, at + factsPerCommit).map(recordOf), tenure.committed.intakeOffset)
    }
    await tenure.release()
  }
}
