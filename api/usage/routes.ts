/** What the own tenant used, by UTC day, capability, member, provider or model. */
import { z } from 'zod'
import { isFailure } from '../../platform/errors.ts'
import { usageBetween, usageGroupings, usageGroupsMax } from '../../projections/usage-by-day/queries.ts'
import { day, none } from '../http/forms.ts'
import { checkFromTo, type FieldError, invalid } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { toApiUsage, usageReply } from './convert.ts'

export const usageRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/usage',
    summary: 'Usage between two UTC days, both included, in groups and in total.',
    roles: ['tenant-admin', 'reader'],
    params: none,
    query: z.strictObject({ from: day, to: day, groupBy: z.enum(usageGroupings).default('day') }),
    replies: { 200: usageReply },
    async handle({ query, who }, { database }) {
      const { from, to, groupBy } = query
      checkFromTo(from, to)
      const found = await database
        .asTenant(who.tenantId, (tx) => usageBetween(tx, who.tenantId, { fromDay: from, toDay: to, groupBy }))
        .catch((error: unknown) => {
          throw isFailure(error, 'REQUEST_INVALID') ? invalid(tooManyGroups) : error
        })
      const groups = found.groups.map(({ group, ...usage }) => ({ group, ...toApiUsage(usage) }))
      return {
        status: 200,
        body: { from, to, groupBy, currency: found.currency, groups, total: toApiUsage(found.total) },
      }
    },
  }),
]

const tooManyGroups: FieldError = {
  where: 'query.groupBy',
  problem: 'The answer would have too many groups.',
  expected: `At most ${usageGroupsMax} groups.`,
  remedy: 'Ask for fewer days, or group by something else.',
}
