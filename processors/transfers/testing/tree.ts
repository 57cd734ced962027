/** For tests of transfers: a client below a partner below the platform, and what its jobs come to. */
import type { FactBody, JobRatedBody, UsageMeteredBody } from '../../../schemas/events.generated.ts'
import type { Recorded } from '../../processor.ts'
import { noon, Scene, tenantId } from '../../testing/given.ts'
import { ancestorsOf, decideRollup } from '../decide.ts'

export const partner = 'partner-1'

export class Tree extends Scene {
  constructor() {
    super()
    const harbor = this.directory.tenants.get(tenantId)
    const platform = this.directory.tenants.get('platform')
    if (!harbor || !platform) throw new Error('the scene has no tenants')
    this.directory.tenants.set(partner, { ...platform, level: 'partner', parentId: 'platform' })
    this.directory.tenants.set(tenantId, { ...harbor, parentId: partner })
    this.directory.tenants.set('beside', { ...harbor, parentId: 'platform' })
  }
  /** A job that was metered and rated. */
  rate(jobId: string, over: Partial<JobRatedBody> = {}, used: Partial<UsageMeteredBody> = {}): void {
    const eventId = this.take(metered(jobId, used), `use_${jobId}`).eventId
    this.take(rated(jobId, { usageEventId: eventId, ...over }))
  }
  /** Tells every ancestor what is known by now. */
  tell(): FactBody[] {
    const ancestors = ancestorsOf(this.directory, tenantId) ?? []
    return this.settle({ facts: decideRollup(this.state.transfers, ancestors, { tenantId, directoryVersion: 4n }) })
  }
}

export const line = {
  day: '2026-11-10',
  billingPeriod: '2026-11',
  currency: 'USD',
  jobs: 1n,
  succeeded: 1n,
  failed: 0n,
  cancelled: 0n,
  inputUncachedTokens: 100n,
  inputCacheReadTokens: 20n,
  inputCacheWriteTokens: 3n,
  outputTokens: 10n,
  reasoningTokens: 4n,
  chargedPico: 230n,
}

export const sent = (toTenantId: string, number: bigint, rollup: (typeof line)[] = [line]): FactBody => ({
  type: 'TransferSent',
  toTenantId,
  number,
  kind: 'rollup',
  directoryVersion: 4n,
  rollup,
})

export const forwarded = (...transfers: { toTenantId: string; number: bigint }[]): FactBody => ({
  type: 'TransferForwarded',
  transfers,
})

const metered = (jobId: string, over: Partial<UsageMeteredBody>): UsageMeteredBody => ({
  type: 'UsageMetered',
  jobId,
  memberId: null,
  capability: 'classify.category',
  attemptNo: 1,
  attemptId: `att_${jobId}`,
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  keyId: null,
  source: 'counted',
  inputUncachedTokens: 100n,
  inputCacheReadTokens: 20n,
  inputCacheWriteTokens: 3n,
  outputTokens: 10n,
  reasoningTokens: 4n,
  inputBytes: 1n,
  outputBytes: 1n,
  durationMs: 1n,
  rawUsage: null,
  tokensHeld: 200n,
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
  priceBookHash: 'book',
  billingPeriod: '2026-11',
  admittedAt: 0n,
  usageEventId: null,
  provider: 'local',
  model: 'linear-1',
  keyOwner: 'platform',
  chargedPico: 230n,
  providerCostPico: null,
  lines: [],
  heldPico: 230n,
  settlements: [],
  ...over,
})

/** The same as it stands in the log. */
export const sentFact = (tenantId: string, toTenantId: string, number: bigint): Recorded<'TransferSent'> => ({
  ...(sent(toTenantId, number) as Recorded<'TransferSent'>),
  tenantId,
  eventId: `evt_${toTenantId}_${number}`,
  seq: number,
  occurredAt: noon,
  actor: 'owner',
  correlationId: 'timer_1',
  causedBy: 'timer_1',
  intakeOffset: null,
  traceparent: null,
})
