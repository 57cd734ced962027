/** Rated jobs of several tenants, and what they come to, added up from the plan alone. */
import { partitionOf } from '../../platform/log/partitioner.ts'
import type { JobRated, JobRatedRatedLine } from '../../schemas/events.generated.ts'
import { idFrom, lineIdFrom } from '../../schemas/ids.ts'
import { decimalFromPico } from '../../schemas/units.ts'

const periods = ['2026-10', '2026-11', '2026-12']

/** Tenants of a partition, so that a test knows which have facts. */
export function tenantsOf(partition: number, partitionCount: number, count: number): string[] {
  const all = Array.from({ length: 200 }, (_, index) => `shop-${index}`)
  return all.filter((tenant) => partitionOf(tenant, partitionCount) === partition).slice(0, count)
}

/** The `n`th rated job of a tenant. Every fifth charges nothing, every seventh is credited, every eleventh is huge. */
export function ratedFact(tenantId: string, n: number, seq: bigint): JobRated {
  const jobId = idFrom('job', tenantId, n)
  const line = (kind: JobRatedRatedLine['kind'], quantity: bigint, pricePico: bigint): JobRatedRatedLine => ({
    lineId: lineIdFrom(tenantId, jobId, kind, 0),
    kind,
    quantity,
    pricePico,
    amountPico: quantity * pricePico,
  })
  const size = BigInt(n) * 7_919n + 1n
  const charges = [line('request', 1n, 1_000_000_000n + size), line('output', size, 250_000n)]
  if (n % 11 === 0) charges.push(line('input_uncached', 2n ** 63n - 1n, 1_234_567_890_123_456_789n))
  if (n % 7 === 0) charges.push(line('max_charge_credit', 1n, -size * 3n))
  const lines = n % 5 === 0 ? [] : charges
  const period = periods[n % periods.length] ?? ''
  const at = BigInt(Date.parse(`${period}-15T00:00:00Z`)) * 1_000n + seq
  return {
    type: 'JobRated',
    tenantId,
    eventId: idFrom('evt', tenantId, jobId, 'JobRated'),
    seq,
    occurredAt: at,
    actor: 'owner',
    correlationId: `request-${n}`,
    causedBy: idFrom('att', tenantId, jobId, 1),
    intakeOffset: null,
    traceparent: null,
    jobId,
    memberId: n % 2 === 0 ? 'agent-7' : null,
    capability: 'classify.category',
    outcome: n % 5 === 0 ? 'failed' : 'succeeded',
    attempts: 1,
    currency: tenantId.endsWith('1') ? 'NGN' : 'EUR',
    priceBookHash: 'a'.repeat(64),
    billingPeriod: period,
    admittedAt: at - 1_000n,
    usageEventId: idFrom('evt', tenantId, jobId, 'UsageMetered'),
    provider: 'local',
    model: 'knn',
    keyOwner: 'platform',
    chargedPico: lines.reduce((sum, { amountPico }) => sum + amountPico, 0n),
    providerCostPico: null,
    lines,
    heldPico: 10n ** 30n,
    settlements: [],
  }
}

type Booked = {
  tenantId: string
  currency: string
  billingPeriod: string
  lines: { kind: string; amountPico: bigint }[]
}
const amounts = (amountPico: bigint) => ({ amount: decimalFromPico(amountPico), amountPico: String(amountPico) })
const sumOf = (lines: readonly { amountPico: bigint }[]) => lines.reduce((sum, { amountPico }) => sum + amountPico, 0n)
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** What the samples are to say of facts that each count once, in the same order. */
export function balancesOf(facts: readonly Booked[]) {
  const keyOf = ({ tenantId, currency, billingPeriod }: Booked) => `${tenantId} ${currency} ${billingPeriod}`
  return [...Map.groupBy(facts, keyOf)]
    .sort(([a], [b]) => byText(a, b))
    .map(([key, group]) => {
      const [tenantId, currency, period] = key.split(' ')
      const lines = group.flatMap((fact) =>
        fact.lines.length > 0 ? fact.lines : [{ kind: 'no_charge', amountPico: 0n }],
      )
      const byKind = [...Map.groupBy(lines, ({ kind }) => kind)]
        .sort(([a], [b]) => byText(a, b))
        .map(([kind, those]) => ({ kind, lines: those.length, ...amounts(sumOf(those)) }))
      return { tenantId, currency, period, jobs: group.length, ...amounts(sumOf(lines)), byKind }
    })
}
