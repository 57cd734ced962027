/** The own ledger, line by line, and the events behind a line. */
import { z } from 'zod'
import { factsOfJob } from '../../projections/job-trail/queries.ts'
import { ledgerPage, ledgerTotals, lineById } from '../../projections/ledger/queries.ts'
import { decimalFromPico } from '../../schemas/units.ts'
import { toApiEvent } from '../audit/convert.ts'
import { fromCursor, toCursor, wholeForm } from '../http/cursor.ts'
import { billingPeriod, cursor, id, limit, limitDefault, none } from '../http/forms.ts'
import { notFound } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { ledgerReply, lineDetailReply, toApiLine, toApiTotal } from './convert.ts'

export const billingRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/billing/ledger',
    summary: 'Lines of a billing period in the order they were rated, and the sums of the whole period.',
    roles: ['tenant-admin', 'reader'],
    params: none,
    query: z.strictObject({ period: billingPeriod, limit, cursor }),
    replies: { 200: ledgerReply },
    async handle({ query, who }, { database }) {
      const { period } = query
      const after = fromCursor(query.cursor, wholeForm, lineNoForm)
      const wish = {
        billingPeriod: period,
        limit: query.limit ?? limitDefault,
        ...(after !== undefined && { after: { seq: BigInt(after[0]), lineNo: Number(after[1]) } }),
      }
      const { page, totals } = await database.asTenant(who.tenantId, async (tx) => ({
        page: await ledgerPage(tx, who.tenantId, wish),
        totals: await ledgerTotals(tx, who.tenantId, period),
      }))
      const { items, next } = page
      const { jobs, amountPico, byKind } = totals
      return {
        status: 200,
        body: {
          period,
          lines: items.map(toApiLine),
          next: toCursor(next && [String(next.seq), String(next.lineNo)]),
          total: { jobs: Number(jobs), amount: decimalFromPico(amountPico), byKind: byKind.map(toApiTotal) },
        },
      }
    },
  }),
  route({
    method: 'get',
    path: '/v1/billing/lines/{lineId}',
    summary: 'A ledger line and every event behind it, from the submission to the rating.',
    roles: ['tenant-admin', 'reader'],
    params: z.strictObject({ lineId: id }),
    query: none,
    replies: { 200: lineDetailReply },
    async handle({ params, who }, { database }) {
      const found = await database.asTenant(who.tenantId, async (tx) => {
        const line = await lineById(tx, who.tenantId, params.lineId)
        return line && { line, events: await factsOfJob(tx, who.tenantId, line.jobId) }
      })
      if (!found) throw notFound('ledger line')
      return { status: 200, body: { line: toApiLine(found.line), events: found.events.map(toApiEvent) } }
    },
  }),
]

const lineNoForm = /^\d{1,9}$/
