/** Caps between the API and the rest. Limits are JSON numbers for counts and decimals in main units for money. */
import { z } from 'zod'
import type { CapRequest } from '../../producers/index.ts'
import type { Cap, CapStanding } from '../../projections/cap-standing/queries.ts'
import { decimalFromPico, isoFromMicros, picoFromDecimal } from '../../schemas/units.ts'
import { count, day, id, money, optionalTime, time } from '../http/forms.ts'

const period = z.enum(['day', 'week', 'month', 'total'])
const rest = {
  period,
  anchorDate: day
    .describe(
      'A day on which a period begins, in the time zone of the tenant: periods are counted from it, before it as well as after. Months begin on its day of the month, or on the last day of one that has no such day. Without it periods are those of the calendar, weeks from Monday. Not with the period total.',
    )
    .optional(),
  scope: z.strictObject({ memberId: id.optional(), capability: id.optional() }).optional(),
}
export const capBody = z.discriminatedUnion('metric', [
  z.strictObject({ metric: z.literal('requests'), limit: count, ...rest }),
  z.strictObject({ metric: z.literal('tokens'), limit: count, ...rest }),
  z.strictObject({ metric: z.literal('money'), limit: money, ...rest }),
])
export type ApiCapBody = z.infer<typeof capBody>

const limit = z.union([z.number(), z.string()])
const capFields = {
  id: z.string(),
  metric: z.enum(['requests', 'tokens', 'money', 'unknown']),
  limit,
  period: z.enum(['day', 'week', 'month', 'total', 'unknown']),
  anchorDate: z.string().nullable(),
  scope: z.strictObject({ memberId: z.string().nullable(), capability: z.string().nullable() }),
  version: z.number(),
  countsFrom: time,
  setAt: time,
  setBy: z.string(),
}
export const capReply = z.strictObject(capFields)
export const capsReply = z.strictObject({ caps: z.array(capReply) })
export const standingsReply = z.strictObject({
  at: time,
  caps: z.array(
    z.strictObject({
      ...capFields,
      settled: limit,
      held: limit,
      free: limit,
      periodStart: time,
      resetsAt: optionalTime,
    }),
  ),
})

export const fromApiCap = (body: ApiCapBody): Omit<CapRequest, 'tenantId' | 'capId'> => ({
  metric: body.metric,
  limit: body.metric === 'money' ? (picoFromDecimal(body.limit) ?? 0n) : BigInt(body.limit),
  period: body.period,
  anchorDate: body.anchorDate ?? null,
  scopeMemberId: body.scope?.memberId ?? null,
  scopeCapability: body.scope?.capability ?? null,
})

/** In the metric's unit: a decimal in main units for money, else a number. */
export const toApiAmount = (metric: Cap['metric'], value: bigint): number | string =>
  metric === 'money' ? decimalFromPico(value) : Number(value)

export const toApiCap = (cap: Cap): z.infer<typeof capReply> => ({
  id: cap.capId,
  metric: cap.metric,
  limit: toApiAmount(cap.metric, cap.limit),
  period: cap.period,
  anchorDate: cap.anchorDate,
  scope: { memberId: cap.scopeMemberId, capability: cap.scopeCapability },
  version: Number(cap.version),
  countsFrom: isoFromMicros(cap.countsFrom),
  setAt: isoFromMicros(cap.setAt),
  setBy: cap.setBy,
})

export const toApiStanding = (cap: CapStanding): z.infer<typeof standingsReply>['caps'][number] => ({
  ...toApiCap(cap),
  settled: toApiAmount(cap.metric, cap.settled),
  held: toApiAmount(cap.metric, cap.held),
  free: toApiAmount(cap.metric, cap.free),
  periodStart: isoFromMicros(cap.periodStart),
  resetsAt: cap.periodEnd === null ? null : isoFromMicros(cap.periodEnd),
})
