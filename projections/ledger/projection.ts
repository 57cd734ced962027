/**
 * What is a tenant charged, and for what? Two tables: one row per line, where a job rated without lines has one at zero, and
 * the sums of each period's lines, so that a page of lines does not cost a reading of all of them.
 */
import type { JobRatedBody } from '../../schemas/events.generated.ts'
import { lineIdFrom } from '../../schemas/ids.ts'
import { amount, bigint, int, nullable, projection, sqlFile, text, total } from '../projection.ts'

/** The line of a job that cost nothing, so that every rated job stands in the ledger. */
export const noChargeKind = 'no_charge'

/** Lines are only ever inserted, and are unique by id: rating a job again could not charge it twice here. */
export const ledger = projection({
  name: 'ledger',
  version: 1,
  table: 'ledger_line',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'line_id'],
  columns: {
    tenant_id: text,
    line_id: text,
    line_no: int,
    job_id: text,
    kind: text,
    quantity: amount,
    price_pico: amount,
    amount_pico: amount,
    currency: text,
    billing_period: text,
    capability: text,
    member_id: nullable(text),
    provider: nullable(text),
    model: nullable(text),
    key_owner: nullable(text),
    outcome: text,
    price_book_hash: text,
    admitted_at: bigint,
    rated_at: bigint,
    rated_event_id: text,
    usage_event_id: nullable(text),
  },
  apply(fact) {
    if (fact.type !== 'JobRated') return []
    return linesOf(fact).map((line, index) => ({
      op: 'insert',
      key: { tenant_id: fact.tenantId, line_id: line.lineId },
      values: {
        line_no: index + 1,
        job_id: fact.jobId,
        kind: line.kind,
        quantity: line.quantity,
        price_pico: line.pricePico,
        amount_pico: line.amountPico,
        currency: fact.currency,
        billing_period: fact.billingPeriod,
        capability: fact.capability,
        member_id: fact.memberId,
        provider: fact.provider,
        model: fact.model,
        key_owner: fact.keyOwner,
        outcome: fact.outcome,
        price_book_hash: fact.priceBookHash,
        admitted_at: fact.admittedAt,
        rated_at: fact.occurredAt,
        rated_event_id: fact.eventId,
        usage_event_id: fact.usageEventId,
      },
    }))
  },
})

/** A job is rated once. Were it rated again, these sums would have both ratings and the lines the first, and replay tells. */
export const periodTotals = projection({
  name: 'period-totals',
  version: 1,
  table: 'period_total',
  tableSql: sqlFile(import.meta.dirname, 'period-total.sql'),
  keyColumns: ['tenant_id', 'billing_period', 'currency', 'kind'],
  columns: {
    tenant_id: text,
    billing_period: text,
    currency: text,
    kind: text,
    lines: total(bigint),
    jobs: total(bigint),
    quantity: total(amount),
    amount_pico: total(amount),
  },
  apply(fact) {
    if (fact.type !== 'JobRated') return []
    const lines = linesOf(fact)
    return [...new Set(lines.map(({ kind }) => kind))].map((kind) => {
      const ofKind = lines.filter((line) => line.kind === kind)
      return {
        op: 'add',
        key: { tenant_id: fact.tenantId, billing_period: fact.billingPeriod, currency: fact.currency, kind },
        add: {
          lines: BigInt(ofKind.length),
          jobs: kind === lines[0]?.kind ? 1n : 0n,
          quantity: ofKind.reduce((sum, { quantity }) => sum + quantity, 0n),
          amount_pico: ofKind.reduce((sum, { amountPico }) => sum + amountPico, 0n),
        },
      }
    })
  },
})

type RatedLine = JobRatedBody['lines'][number]
type Line = Omit<RatedLine, 'kind'> & { kind: RatedLine['kind'] | typeof noChargeKind }

function linesOf({ tenantId, jobId, lines }: JobRatedBody & { tenantId: string }): readonly Line[] {
  if (lines.length > 0) return lines
  const lineId = lineIdFrom(tenantId, jobId, noChargeKind, 0)
  return [{ lineId, kind: noChargeKind, quantity: 0n, pricePico: 0n, amountPico: 0n }]
}
