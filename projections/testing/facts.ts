/** Facts for tests: one function per event with every field given a plain value, stamped as an owner would. */
import type {
  CapSetBody,
  Fact,
  FactBody,
  FactHeader,
  JobAdmittedBody,
  JobRatedBody,
  JobRefusedBody,
  JobSubmittedBody,
  TransferTakenBody,
  TransferTakenRollupLine,
  UsageMeteredBody,
} from '../../schemas/events.generated.ts'

/** 2026-11-10T12:00:00Z */
export const noon = 1_794_312_000_000_000n
export const dayMicros = 86_400_000_000n

/** Stamps facts of one partition: the next `seq`, a clock that moves on, ids that tell them apart. */
export class Stamp {
  seq = 0n
  now = noon

  fact(tenantId: string, body: FactBody, header: Partial<FactHeader> = {}): Fact {
    this.seq += 1n
    this.now += 1_000n
    return {
      tenantId,
      eventId: `evt_${this.seq}`,
      seq: this.seq,
      occurredAt: this.now,
      actor: 'token:t1',
      correlationId: `corr_${this.seq}`,
      causedBy: `cause_${this.seq}`,
      intakeOffset: null,
      traceparent: null,
      ...header,
      ...body,
    }
  }
}

export const submitted = (jobId: string, over: Partial<JobSubmittedBody> = {}): JobSubmittedBody => ({
  type: 'JobSubmitted',
  jobId,
  memberId: null,
  capability: 'classify.category',
  resourceId: 'mails',
  model: null,
  payloadRef: `in_${jobId}`,
  payloadBytes: 1_200n,
  payloadMac: 'aa',
  priority: 3,
  inputTokensMax: 1_216n,
  outputTokensMax: 0n,
  maxCharge: null,
  deadlineMs: 60_000n,
  ...over,
})

export const admitted = (jobId: string, over: Partial<JobAdmittedBody> = {}): JobAdmittedBody => ({
  type: 'JobAdmitted',
  jobId,
  memberId: null,
  capability: 'classify.category',
  priority: 3,
  requestsHeld: 1n,
  tokensHeld: 1_216n,
  heldPico: 1_000_000_000n,
  maxCharge: null,
  currency: 'USD',
  caps: [],
  route: [],
  priceBookHash: 'book-1',
  billingPeriod: '2026-11',
  timeZone: 'UTC',
  directoryVersion: 2n,
  resourceHash: 'set-1',
  schedulingCost: 2n,
  schedulingWeight: 1,
  attemptsMax: 3,
  deadlineAt: noon + 60_000_000n,
  ...over,
})

export const refused = (jobId: string, over: Partial<JobRefusedBody> = {}): JobRefusedBody => ({
  type: 'JobRefused',
  jobId,
  memberId: null,
  capability: 'classify.category',
  reason: 'queue_full',
  cap: null,
  heldPico: null,
  directoryVersion: 2n,
  timeZone: 'UTC',
  priceBookHash: null,
  ...over,
})

const attempt = (jobId: string, attemptNo: number) => ({
  jobId,
  attemptNo,
  attemptId: `att_${jobId}_${attemptNo}`,
  provider: 'local',
})

export const started = (jobId: string, attemptNo = 1): FactBody => ({
  type: 'AttemptStarted',
  ...attempt(jobId, attemptNo),
  model: 'linear-1',
  keyOwner: 'platform',
  keyId: null,
  deadlineAt: noon + 30_000_000n,
})

export const attemptFailed = (jobId: string, attemptNo: number, retryAt: bigint | null): FactBody => ({
  type: 'AttemptFailed',
  ...attempt(jobId, attemptNo),
  code: 'PROVIDER_TIMEOUT',
  indeterminate: false,
  retryAt,
  durationMs: 5n,
  usage: null,
})

export const succeeded = (jobId: string, attemptNo = 1): FactBody => ({
  type: 'JobSucceeded',
  ...attempt(jobId, attemptNo),
  model: 'linear-1',
  resultRef: `out_${jobId}`,
  resultBytes: 90n,
  resultMac: 'bb',
  durationMs: 7n,
})

export const failed = (jobId: string, attempts: number): FactBody => ({
  type: 'JobFailed',
  jobId,
  code: 'PROVIDER_TIMEOUT',
  attempts,
})
export const cancelled = (jobId: string, attempts: number): FactBody => ({ type: 'JobCancelled', jobId, attempts })

export const metered = (jobId: string, over: Partial<UsageMeteredBody> = {}): UsageMeteredBody => ({
  type: 'UsageMetered',
  ...attempt(jobId, 1),
  memberId: null,
  capability: 'classify.category',
  model: 'linear-1',
  keyOwner: 'platform',
  keyId: null,
  source: 'counted',
  inputUncachedTokens: 200n,
  inputCacheReadTokens: 20n,
  inputCacheWriteTokens: 2n,
  outputTokens: 10n,
  reasoningTokens: 1n,
  inputBytes: 1_200n,
  outputBytes: 90n,
  durationMs: 7n,
  rawUsage: null,
  tokensHeld: 1_216n,
  settlements: [],
  ...over,
})

export const rated = (jobId: string, over: Partial<JobRatedBody> = {}): JobRatedBody => ({
  type: 'JobRated',
  jobId,
  memberId: null,
  capability: 'classify.category',
  outcome: 'succeeded',
  attempts: 1,
  currency: 'USD',
  priceBookHash: 'book-1',
  billingPeriod: '2026-11',
  admittedAt: noon,
  usageEventId: `use_${jobId}`,
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  chargedPico: 230n,
  providerCostPico: 0n,
  lines: [
    { lineId: `line_${jobId}_r`, kind: 'request', quantity: 1n, pricePico: 30n, amountPico: 30n },
    { lineId: `line_${jobId}_i`, kind: 'input_uncached', quantity: 200n, pricePico: 1n, amountPico: 200n },
  ],
  heldPico: 1_000_000_000n,
  settlements: [],
  ...over,
})

/** Rated at zero because no attempt started. */
export const ratedUntried = (jobId: string, over: Partial<JobRatedBody> = {}): JobRatedBody =>
  rated(jobId, {
    outcome: 'cancelled',
    attempts: 0,
    usageEventId: null,
    provider: null,
    model: null,
    keyOwner: null,
    chargedPico: 0n,
    providerCostPico: null,
    lines: [],
    ...over,
  })

export const rollupLine = (over: Partial<TransferTakenRollupLine> = {}): TransferTakenRollupLine => ({
  day: '2026-11-10',
  billingPeriod: '2026-11',
  currency: 'USD',
  jobs: 3n,
  succeeded: 1n,
  failed: 1n,
  cancelled: 1n,
  inputUncachedTokens: 200n,
  inputCacheReadTokens: 20n,
  inputCacheWriteTokens: 2n,
  outputTokens: 10n,
  reasoningTokens: 1n,
  chargedPico: 230n,
  ...over,
})

export const transferTaken = (
  fromTenantId: string,
  number: bigint,
  rollup: TransferTakenRollupLine[] = [rollupLine()],
): TransferTakenBody => ({ type: 'TransferTaken', fromTenantId, number, kind: 'rollup', rollup })

export const capSet = (capId: string, over: Partial<CapSetBody> = {}): CapSetBody => ({
  type: 'CapSet',
  capId,
  metric: 'requests',
  limit: 100n,
  period: 'day',
  anchorDate: null,
  scopeMemberId: null,
  scopeCapability: null,
  version: 1n,
  countsFrom: noon,
  ...over,
})

export const tenantRegistered = (
  registeredTenantId: string,
  parentId = 'platform',
  level: 'partner' | 'client' | 'merchant' = 'partner',
): FactBody => ({
  type: 'TenantRegistered',
  registeredTenantId,
  level,
  parentId,
  name: `The ${registeredTenantId}`,
  currency: 'USD',
  timeZone: 'Europe/Berlin',
})

export const bookPublished = (hash: string, effectiveFrom: bigint, currency = 'USD'): FactBody => ({
  type: 'PriceBookPublished',
  hash,
  currency,
  effectiveFrom,
  book: `{"hash":"${hash}"}`,
})

export const tokenIssued = (tokenId: string, secretHash: string, expiresAt: bigint | null = null): FactBody => ({
  type: 'TokenIssued',
  tokenId,
  secretHash,
  role: 'submitter',
  memberId: null,
  expiresAt,
})

export const labelSetRegistered = (labelSetId: string, hash: string): FactBody => ({
  type: 'LabelSetRegistered',
  labelSetId,
  hash,
  payloadRef: `set_${hash}`,
  payloadBytes: 5_000n,
  labelCount: 2,
  exampleCount: 40,
})
