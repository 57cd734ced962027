/** What is a tenant charged, and for what? One row per line; a job rated without lines has one at zero. */
import { lineIdFrom } from '../../schemas/ids.ts'
import { amount, bigint, int, nullable, projection, sqlFile, text } from '../projection.ts'

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
    const nothing = {
      lineId: lineIdFrom(fact.tenantId, fact.jobId, noChargeKind, 0),
      kind: noChargeKind,
      quantity: 0n,
      pricePico: 0n,
      amountPico: 0n,
    }
    const lines = fact.lines.length === 0 ? [nothing] : fact.lines
    return lines.map((line, index) => ({
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
