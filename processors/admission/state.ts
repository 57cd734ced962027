/**
 * Where every cap stands: what is settled and what is held, per cap and period. A fold of facts without rules;
 * `decide.ts` has the rules.
 */
import {
  type CapSetCapPeriod,
  type CapSetMetric,
  type Fact,
  type JobRatedSettlement,
  streamOf,
  type UsageMeteredSettlement,
} from '../../schemas/events.generated.ts'
import { keyOfJob } from '../../schemas/ids.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'
import { type Answered, emptyAnswered, rememberAnswered } from './answered.ts'

export type Standing = { settled: bigint; held: bigint }

export type CapState = {
  capId: string
  version: bigint
  /** Version at which counting began: a change of anything but the limit begins anew. */
  sinceVersion: bigint
  metric: CapSetMetric
  limit: bigint
  period: CapSetCapPeriod
  anchorDate: string | null
  scopeMemberId: string | null
  scopeCapability: string | null
  countsFrom: EpochMicros
  /** By start of period; an earlier period is kept while something is held in it. */
  standings: Map<EpochMicros, Standing>
}

export type TenantCaps = {
  /** Caps in force, by id. */
  caps: Map<string, CapState>
  /** Last version of every cap there ever was, so that versions never repeat. */
  versions: Map<string, bigint>
}

export type Admission = {
  tenants: Map<string, TenantCaps>
  /** Ids of jobs, in groups by key, and of other requests. */
  answered: Answered
}

export const emptyAdmission = (secret: string): Admission => ({ tenants: new Map(), answered: emptyAnswered(secret) })

/** Takes in one fact, in place. */
export function evolveAdmission(admission: Admission, fact: Fact): void {
  if (streamOf[fact.type] === 'accounts' || streamOf[fact.type] === 'directory')
    rememberAnswered(admission.answered, fact.causedBy, fact.occurredAt)
  switch (fact.type) {
    case 'CapSet':
      return setCap(capsToChange(admission, fact.tenantId), fact)
    case 'CapRemoved': {
      const tenant = capsToChange(admission, fact.tenantId)
      tenant.caps.delete(fact.capId)
      tenant.versions.set(fact.capId, fact.version)
      return
    }
    case 'JobSubmitted':
      return rememberAnswered(admission.answered, fact.jobId, fact.occurredAt, keyOfJob(fact.jobId))
    case 'JobAdmitted':
      return hold(capsOf(admission, fact.tenantId), fact)
    case 'UsageMetered':
    case 'JobRated':
      for (const settlement of fact.settlements) settle(capsOf(admission, fact.tenantId), settlement)
      return
  }
}

/** For reading: a decision changes nothing, so that a tenant asked about is not a tenant remembered. */
export const capsOf = (
  admission: Admission,
  tenantId: string,
): { caps: ReadonlyMap<string, CapState>; versions: ReadonlyMap<string, bigint> } =>
  admission.tenants.get(tenantId) ?? noCaps
const noCaps: TenantCaps = { caps: new Map(), versions: new Map() }

function capsToChange(admission: Admission, tenantId: string): TenantCaps {
  const known = admission.tenants.get(tenantId)
  if (known) return known
  const made: TenantCaps = { caps: new Map(), versions: new Map() }
  admission.tenants.set(tenantId, made)
  return made
}

/** What counts the same way: only the limit may differ. */
export const countsAlike = (cap: CapState, wanted: Shape): boolean =>
  cap.metric === wanted.metric &&
  cap.period === wanted.period &&
  cap.anchorDate === wanted.anchorDate &&
  cap.scopeMemberId === wanted.scopeMemberId &&
  cap.scopeCapability === wanted.scopeCapability

type Shape = Pick<CapState, 'metric' | 'period' | 'anchorDate' | 'scopeMemberId' | 'scopeCapability'>

function setCap(tenant: TenantCaps, fact: Recorded<'CapSet'>): void {
  const { capId, version, metric, limit, period, anchorDate, scopeMemberId, scopeCapability, countsFrom } = fact
  const before = tenant.caps.get(capId)
  const goesOn = before !== undefined && before.countsFrom === countsFrom
  tenant.caps.set(capId, {
    capId,
    version,
    metric,
    limit,
    period,
    anchorDate,
    scopeMemberId,
    scopeCapability,
    countsFrom,
    sinceVersion: goesOn ? before.sinceVersion : version,
    standings: goesOn ? before.standings : new Map(),
  })
  tenant.versions.set(capId, version)
}

function hold(tenant: ReturnType<typeof capsOf>, fact: Recorded<'JobAdmitted'>): void {
  for (const { capId, periodStart, held } of fact.caps) {
    const cap = tenant.caps.get(capId)
    if (!cap) continue
    forgetEmptyPeriods(cap, periodStart)
    const standing = cap.standings.get(periodStart) ?? { settled: 0n, held: 0n }
    cap.standings.set(periodStart, { settled: standing.settled, held: standing.held + held })
  }
}

function forgetEmptyPeriods(cap: CapState, current: EpochMicros): void {
  for (const [start, standing] of cap.standings)
    if (start < current && standing.held === 0n) cap.standings.delete(start)
}

/** A hold taken under an earlier life of the cap is not in its standing any more, so nothing is given back. */
function settle(tenant: ReturnType<typeof capsOf>, settlement: JobRatedSettlement | UsageMeteredSettlement): void {
  const cap = tenant.caps.get(settlement.capId)
  if (!cap || settlement.capVersion < cap.sinceVersion) return
  const standing = cap.standings.get(settlement.periodStart)
  if (!standing) return
  cap.standings.set(settlement.periodStart, {
    settled: standing.settled + settlement.settled,
    held: standing.held - settlement.held,
  })
}
