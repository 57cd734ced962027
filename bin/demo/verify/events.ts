/**
 * What the verifier reads of each event. Written by hand from the Avro schemas and sharing nothing with the product,
 * so that a mistake in the product's own types cannot hide here.
 */

export type Metric = 'requests' | 'tokens' | 'money'
export type KeyOwner = 'platform' | 'tenant' | 'ancestor'
export type Outcome = 'succeeded' | 'failed' | 'cancelled'

export type Header = { tenantId: string; eventId: string; seq: bigint; occurredAt: bigint }

export type Buckets = {
  inputUncachedTokens: bigint
  inputCacheReadTokens: bigint
  inputCacheWriteTokens: bigint
  outputTokens: bigint
  reasoningTokens: bigint
}

export type TenantRegistered = {
  type: 'TenantRegistered'
  registeredTenantId: string
  parentId: string
  currency: string
  timeZone: string
}
export type PriceBookPublished = {
  type: 'PriceBookPublished'
  hash: string
  currency: string
  effectiveFrom: bigint
  book: string
}
export type CapShape = {
  metric: Metric
  period: 'day' | 'week' | 'month' | 'total'
  anchorDate: string | null
  scopeMemberId: string | null
  scopeCapability: string | null
}
export type CapSet = CapShape & { type: 'CapSet'; capId: string; limit: bigint; version: bigint; countsFrom: bigint }
export type CapRemoved = { type: 'CapRemoved'; capId: string; version: bigint }
export type JobSubmitted = {
  type: 'JobSubmitted'
  jobId: string
  memberId: string | null
  capability: string
  inputTokensMax: bigint
  outputTokensMax: bigint
  maxCharge: bigint | null
}
export type CapHold = {
  capId: string
  capVersion: bigint
  periodStart: bigint
  periodEnd: bigint | null
  metric: Metric
  limit: bigint
  settledBefore: bigint
  heldBefore: bigint
  held: bigint
}
export type RouteStep = { provider: string; model: string; keyOwner: KeyOwner; keyId: string | null }
export type JobAdmitted = {
  type: 'JobAdmitted'
  jobId: string
  memberId: string | null
  capability: string
  requestsHeld: bigint
  tokensHeld: bigint
  heldPico: bigint
  maxCharge: bigint | null
  currency: string
  caps: CapHold[]
  route: RouteStep[]
  priceBookHash: string
  billingPeriod: string
  timeZone: string
  directoryVersion: bigint
  attemptsMax: number
}
export type CapRefusal = {
  capId: string
  capVersion: bigint
  metric: Metric
  limit: bigint
  free: bigint
  needed: bigint
  periodStart: bigint
  resetsAt: bigint | null
}
export type JobRefused = {
  type: 'JobRefused'
  jobId: string
  memberId: string | null
  capability: string
  reason: string
  cap: CapRefusal | null
  heldPico: bigint | null
  directoryVersion: bigint
  timeZone: string | null
  priceBookHash: string | null
}
export type AttemptStarted = RouteStep & { type: 'AttemptStarted'; jobId: string; attemptNo: number; attemptId: string }
export type AttemptFailed = {
  type: 'AttemptFailed'
  jobId: string
  attemptNo: number
  attemptId: string
  provider: string
  retryAt: bigint | null
  usage: Buckets | null
}
export type CancelRequested = { type: 'CancelRequested'; jobId: string }
export type JobSucceeded = {
  type: 'JobSucceeded'
  jobId: string
  attemptNo: number
  attemptId: string
  provider: string
  model: string
}
export type JobFailed = { type: 'JobFailed'; jobId: string; attempts: number }
export type JobCancelled = { type: 'JobCancelled'; jobId: string; attempts: number }
export type Settlement = {
  capId: string
  capVersion: bigint
  periodStart: bigint
  metric: Metric
  held: bigint
  settled: bigint
}
export type UsageMetered = Buckets &
  RouteStep & {
    type: 'UsageMetered'
    jobId: string
    memberId: string | null
    capability: string
    attemptNo: number
    attemptId: string
    source: string
    tokensHeld: bigint
    settlements: Settlement[]
  }
export type HoldExceeded = {
  type: 'HoldExceeded'
  jobId: string
  metric: Metric
  held: bigint
  actual: bigint
  excess: bigint
}
export type Line = { lineId: string; kind: string; quantity: bigint; pricePico: bigint; amountPico: bigint }
export type JobRated = {
  type: 'JobRated'
  jobId: string
  memberId: string | null
  capability: string
  outcome: Outcome
  attempts: number
  currency: string
  priceBookHash: string
  billingPeriod: string
  admittedAt: bigint
  usageEventId: string | null
  provider: string | null
  model: string | null
  keyOwner: KeyOwner | null
  chargedPico: bigint
  providerCostPico: bigint | null
  lines: Line[]
  heldPico: bigint
  settlements: Settlement[]
}

export type RollupLine = Buckets & {
  day: string
  billingPeriod: string
  currency: string
  jobs: bigint
  succeeded: bigint
  failed: bigint
  cancelled: bigint
  chargedPico: bigint
}
export type TransferSent = { type: 'TransferSent'; toTenantId: string; number: bigint; rollup: RollupLine[] }
export type TransferForwarded = { type: 'TransferForwarded'; transfers: { toTenantId: string; number: bigint }[] }
export type TransferTaken = { type: 'TransferTaken'; fromTenantId: string; number: bigint; rollup: RollupLine[] }

type Body =
  | TenantRegistered
  | PriceBookPublished
  | CapSet
  | CapRemoved
  | JobSubmitted
  | JobAdmitted
  | JobRefused
  | AttemptStarted
  | AttemptFailed
  | CancelRequested
  | JobSucceeded
  | JobFailed
  | JobCancelled
  | UsageMetered
  | HoldExceeded
  | JobRated
  | TransferSent
  | TransferForwarded
  | TransferTaken

/** An event the checks look into, or `Other`: one that only has its place in the order. */
export type Event = Header & (Body | { type: 'Other' })

/** Every event that the checks look into. A record lets the compiler see that none is forgotten. */
const looked: Record<Body['type'], true> = {
  TenantRegistered: true,
  PriceBookPublished: true,
  CapSet: true,
  CapRemoved: true,
  JobSubmitted: true,
  JobAdmitted: true,
  JobRefused: true,
  AttemptStarted: true,
  AttemptFailed: true,
  CancelRequested: true,
  JobSucceeded: true,
  JobFailed: true,
  JobCancelled: true,
  UsageMetered: true,
  HoldExceeded: true,
  JobRated: true,
  TransferSent: true,
  TransferForwarded: true,
  TransferTaken: true,
}
export const isLookedInto = (name: string): boolean => Object.hasOwn(looked, name)
