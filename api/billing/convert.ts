/** The ledger between the API and the rest. */
import { z } from 'zod'
import type { LedgerLine, LedgerTotal } from '../../projections/ledger/queries.ts'
import { decimalFromPico, isoFromMicros } from '../../schemas/units.ts'
import { eventReply } from '../audit/convert.ts'
import { amount, next, time } from '../http/forms.ts'

const lineReply = z.strictObject({
  id: z.string(),
  jobId: z.string(),
  kind: z.string(),
  quantity: z.number(),
  /** Of one unit. */
  price: amount,
  amount,
  currency: z.string(),
  period: z.string(),
  capability: z.string(),
  memberId: z.string().nullable(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  keyOwner: z.string().nullable(),
  outcome: z.string(),
  priceBookHash: z.string(),
  admittedAt: time,
  ratedAt: time,
})
const totalReply = z.strictObject({
  currency: z.string(),
  kind: z.string(),
  lines: z.number(),
  quantity: z.number(),
  amount,
})
export const ledgerReply = z.strictObject({
  period: z.string(),
  lines: z.array(lineReply),
  next,
  /** Over the whole period, not this page. */
  total: z.strictObject({ jobs: z.number(), amount, byKind: z.array(totalReply) }),
})
export const lineDetailReply = z.strictObject({ line: lineReply, events: z.array(eventReply) })

export const toApiLine = (line: LedgerLine): z.infer<typeof lineReply> => ({
  id: line.lineId,
  jobId: line.jobId,
  kind: line.kind,
  quantity: Number(line.quantity),
  price: decimalFromPico(line.pricePico),
  amount: decimalFromPico(line.amountPico),
  currency: line.currency,
  period: line.billingPeriod,
  capability: line.capability,
  memberId: line.memberId,
  provider: line.provider,
  model: line.model,
  keyOwner: line.keyOwner,
  outcome: line.outcome,
  priceBookHash: line.priceBookHash,
  admittedAt: isoFromMicros(line.admittedAt),
  ratedAt: isoFromMicros(line.ratedAt),
})

export const toApiTotal = (total: LedgerTotal): z.infer<typeof totalReply> => ({
  currency: total.currency,
  kind: total.kind,
  lines: Number(total.lines),
  quantity: Number(total.quantity),
  amount: decimalFromPico(total.amountPico),
})
