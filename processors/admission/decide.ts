/**
 * The rules of admission. A job may run only if, under every cap that applies to it, what is settled, what is held
 * and the most it could use fit below the limit. One owner decides for a partition, one request after another, so
 * no two jobs can both take the last unit. Pure: no clock, no I/O, no throw for an expected "no".
 */
import { mostPico } from '../../pricing/index.ts'
import type {
  JobAdmittedCapHold,
  JobRefused,
  JobRefusedCapRefusal,
  JobRefusedJobRefusal,
} from '../../schemas/events.generated.ts'
import { keyOfJob } from '../../schemas/ids.ts'
import { refusal } from '../directory/decide.ts'
import { bookByHash, bookInForce, type Directory } from '../directory/state.ts'
import { costMax } from '../execution/fair-queue.ts'
import type { RouteStep } from '../execution/state.ts'
import type { Draft, Moment, Requested } from '../processor.ts'
import { whatIsAnswered } from './answered.ts'
import { billingPeriodOf, isAnchorDate, periodAt } from './periods.ts'
import { type Admission, type CapState, capsOf, countsAlike } from './state.ts'

/** Caps one tenant may have: each is looked at for every job. */
export const capsPerTenantMax = 100
/** Ids of caps that a tenant ever had: the version of each goes on where it was. */
export const capIdsPerTenantMax = 10_000

export function decideSetCap(
  request: Requested<'SetCap'>,
  admission: Admission,
  directory: Directory,
  { now }: Moment,
): Draft[] {
  const refuse = refusal(request, request.capId)
  if (!directory.tenants.has(request.tenantId)) return refuse('tenant_unknown')
  if (request.anchorDate !== null && !isAnchorDate(request.anchorDate)) return refuse('date_invalid')
  const { caps, versions } = capsOf(admission, request.tenantId)
  const before = caps.get(request.capId)
  if (!before && caps.size >= capsPerTenantMax) return refuse('too_many')
  if (!versions.has(request.capId) && versions.size >= capIdsPerTenantMax) return refuse('too_many')
  const { tenantId, capId, metric, limit, period, anchorDate, scopeMemberId, scopeCapability } = request
  const version = (versions.get(capId) ?? 0n) + 1n
  const countsFrom = before && countsAlike(before, request) ? before.countsFrom : now
  return [
    {
      type: 'CapSet',
      tenantId,
      capId,
      metric,
      limit,
      period,
      anchorDate,
      scopeMemberId,
      scopeCapability,
      version,
      countsFrom,
    },
  ]
}

export function decideRemoveCap(request: Requested<'RemoveCap'>, admission: Admission): Draft[] {
  const { tenantId, capId } = request
  const cap = capsOf(admission, tenantId).caps.get(capId)
  if (!cap) return refusal(request, capId)('cap_unknown')
  return [{ type: 'CapRemoved', tenantId, capId, version: cap.version + 1n }]
}

/** What a job's admission looks at besides the request and the caps. */
export type AdmissionContext = Moment & {
  directory: Directory
  directoryVersion: bigint
  /** Steps that can serve the job, in order; empty when nobody can. */
  route: readonly RouteStep[]
  /** Version of the resource the job names; null when it names none, undefined when there is no such resource. */
  resourceHash: string | null | undefined
  /** As many admitted jobs as there may be have not ended, of the tenant or of the partition. */
  isQueueFull: boolean
  attemptsMax: number
  /** The tenant's share in fair queueing; at least 1. */
  schedulingWeight: number
}

/** First the fact that the job exists, then the answer. A job that was answered before gets nothing: its answer stands. */
export function decideSubmitJob(
  request: Requested<'SubmitJob'>,
  admission: Admission,
  context: AdmissionContext,
): Draft[] {
  const answered = whatIsAnswered(admission.answered, request.jobId, keyOfJob(request.jobId))
  if (answered === 'it') return []
  return [submitted(request), answer(request, admission, { ...context, isKeyTaken: answered === 'another' })]
}

function answer(
  request: Requested<'SubmitJob'>,
  admission: Admission,
  context: AdmissionContext & { isKeyTaken: boolean },
): Draft {
  const { directory, directoryVersion, now, route } = context
  const tenant = directory.tenants.get(request.tenantId)
  const used: Used = { directoryVersion, timeZone: tenant?.timeZone ?? null, priceBookHash: null }
  if (!tenant) return refused(request, used, 'tenant_unknown')
  // A door makes a second job of a key only where the row of the first was lost, with a database that was behind.
  if (context.isKeyTaken) return refused(request, used, 'key_taken')
  if (context.isQueueFull) return refused(request, used, 'queue_full')
  if (route.length === 0) return refused(request, used, 'no_route')
  if (context.resourceHash === undefined) return refused(request, used, 'resource_unknown')

  const bookHash = bookInForce(directory, tenant.currency, now)
  const book = bookHash === undefined ? undefined : bookByHash(directory, bookHash)
  if (!book) return refused(request, used, 'unpriced')
  used.priceBookHash = book.hash
  const steps = route.map(({ provider, model, keyOwner }) => ({
    capability: request.capability,
    provider,
    model,
    keyOwner,
  }))
  const most = mostPico(book, steps, request)
  if (!most.priced) return refused(request, used, 'unpriced')
  if (request.maxCharge !== null && most.pico > request.maxCharge)
    return refused(request, used, 'over_max_charge', { heldPico: most.pico })

  const needed = { requests: 1n, tokens: request.inputTokensMax + request.outputTokensMax, money: most.pico }
  const holds: JobAdmittedCapHold[] = []
  for (const cap of applicable(capsOf(admission, request.tenantId).caps, request)) {
    const hold = holdUnder(cap, needed, tenant.timeZone, now)
    if (hold.settledBefore + hold.heldBefore + hold.held > hold.limit)
      return refused(request, used, 'over_cap', { cap: tooTight(hold) })
    holds.push(hold)
  }
  return {
    type: 'JobAdmitted',
    tenantId: request.tenantId,
    jobId: request.jobId,
    memberId: request.memberId,
    capability: request.capability,
    priority: request.priority,
    requestsHeld: needed.requests,
    tokensHeld: needed.tokens,
    heldPico: needed.money,
    maxCharge: request.maxCharge,
    currency: tenant.currency,
    caps: holds,
    route: [...route],
    priceBookHash: book.hash,
    billingPeriod: billingPeriodOf(tenant.timeZone, now),
    timeZone: tenant.timeZone,
    directoryVersion: context.directoryVersion,
    resourceHash: context.resourceHash,
    schedulingCost: schedulingCostOf(needed.tokens),
    schedulingWeight: context.schedulingWeight,
    attemptsMax: context.attemptsMax,
    deadlineAt: now + request.deadlineMs * 1_000n,
  }
}

/** Caps that apply to the job, in order of id: the order of the holds, and of which refusal is told. */
function applicable(caps: ReadonlyMap<string, CapState>, request: Requested<'SubmitJob'>): CapState[] {
  return [...caps.values()]
    .filter((cap) => cap.scopeMemberId === null || cap.scopeMemberId === request.memberId)
    .filter((cap) => cap.scopeCapability === null || cap.scopeCapability === request.capability)
    .sort((a, b) => (a.capId < b.capId ? -1 : 1))
}

type Needed = { requests: bigint; tokens: bigint; money: bigint }

function holdUnder(cap: CapState, needed: Needed, timeZone: string, now: bigint): JobAdmittedCapHold {
  const { start, end } = periodAt(cap, timeZone, now, cap.countsFrom)
  const standing = cap.standings.get(start)
  const metric = cap.metric === 'requests' || cap.metric === 'tokens' ? cap.metric : 'money'
  return {
    capId: cap.capId,
    capVersion: cap.version,
    periodStart: start,
    periodEnd: end,
    metric,
    limit: cap.limit,
    settledBefore: standing?.settled ?? 0n,
    heldBefore: standing?.held ?? 0n,
    held: needed[metric],
  }
}

/** Fair queueing counts a job as one per started 1,024 tokens of its bound, between 1 and `costMax`. */
export const schedulingCostOf = (tokens: bigint): bigint => {
  const cost = (tokens + 1_023n) / 1_024n
  return cost < 1n ? 1n : cost > BigInt(costMax) ? BigInt(costMax) : cost
}

function tooTight(hold: JobAdmittedCapHold): JobRefusedCapRefusal {
  const free = hold.limit - hold.settledBefore - hold.heldBefore
  return {
    capId: hold.capId,
    capVersion: hold.capVersion,
    metric: hold.metric,
    limit: hold.limit,
    free: free > 0n ? free : 0n,
    needed: hold.held,
    periodStart: hold.periodStart,
    resetsAt: hold.periodEnd,
  }
}

function submitted(request: Requested<'SubmitJob'>): Draft {
  const { tenantId, jobId, memberId, capability, resourceId, model, payloadRef, payloadBytes, payloadMac } = request
  const { priority, inputTokensMax, outputTokensMax, maxCharge, deadlineMs } = request
  return {
    type: 'JobSubmitted',
    tenantId,
    jobId,
    memberId,
    capability,
    resourceId,
    model,
    payloadRef,
    payloadBytes,
    payloadMac,
    priority,
    inputTokensMax,
    outputTokensMax,
    maxCharge,
    deadlineMs,
  }
}

/** What a refusal had looked at when it was decided. */
type Used = Pick<JobRefused, 'directoryVersion' | 'timeZone' | 'priceBookHash'>

function refused(
  request: Requested<'SubmitJob'>,
  used: Used,
  reason: JobRefusedJobRefusal,
  { cap = null, heldPico = null }: Partial<Pick<JobRefused, 'cap' | 'heldPico'>> = {},
): Draft {
  const { tenantId, jobId, memberId, capability } = request
  return { type: 'JobRefused', tenantId, jobId, memberId, capability, reason, cap, heldPico, ...used }
}
