/** What the tenants below used and were charged, by UTC day, tenant or billing period: as they told, never their own rows. */
import { z } from 'zod'
import { rollupGroupings, rollupGroups, rollupTotals } from '../../projections/rollups/queries.ts'
import { fromCursor, idForm, toCursor } from '../http/cursor.ts'
import { billingPeriod, cursor, day, limit, limitDefault, none } from '../http/forms.ts'
import { checkFromTo } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { rollupsReply, toApiSums } from './convert.ts'

export const rollupRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/rollups',
    summary:
      'What all tenants below used and were charged between two UTC days, both included, in groups and in total.',
    roles: ['platform-admin', 'tenant-admin', 'reader'],
    params: none,
    query: z.strictObject({
      from: day,
      to: day,
      period: billingPeriod.optional(),
      groupBy: z.enum(rollupGroupings).default('tenant'),
      limit,
      cursor,
    }),
    replies: { 200: rollupsReply },
    async handle({ query, who }, { database }) {
      const { from, to, period, groupBy } = query
      checkFromTo(from, to)
      const wish = { fromDay: from, toDay: to, billingPeriod: period }
      const after = fromCursor(query.cursor, idForm, currencyForm)
      const page = {
        groupBy,
        limit: query.limit ?? limitDefault,
        ...(after !== undefined && { after: { group: after[0], currency: after[1] } }),
      }
      const { found, totals } = await database.asTenant(who.tenantId, async (tx) => ({
        found: await rollupGroups(tx, who.tenantId, { ...wish, ...page }),
        totals: await rollupTotals(tx, who.tenantId, wish),
      }))
      return {
        status: 200,
        body: {
          from,
          to,
          period: period ?? null,
          groupBy,
          groups: found.items.map((item) => ({ group: item.group, ...toApiSums(item) })),
          next: toCursor(found.next && [found.next.group, found.next.currency]),
          totals: totals.map(toApiSums),
        },
      }
    },
  }),
]

const currencyForm = /^[A-Z]{3}$/
