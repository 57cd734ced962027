/** The audit trail: who changed what the own tenant is and may do, when, and why. What happened to jobs is asked for by job. */
import { z } from 'zod'
import { auditPage, auditStreams } from '../../projections/audit-trail/queries.ts'
import { factTypesOfNoJob } from '../../schemas/events.generated.ts'
import { fromCursor, toCursor, wholeForm } from '../http/cursor.ts'
import { cursor, limit, limitDefault, moment, none } from '../http/forms.ts'
import { checkFromTo } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { auditReply, toApiEvent } from './convert.ts'

export const auditRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/audit',
    summary:
      'Facts of the own tenant that are about none of its jobs, newest first: those that meet every condition given.',
    roles: ['platform-admin', 'tenant-admin', 'reader'],
    params: none,
    query: z.strictObject({
      type: z.enum(factTypesOfNoJob).optional(),
      stream: z.enum(auditStreams).optional(),
      /** Who caused them, as they say it. */
      actor: z
        .string()
        .regex(/^(owner|keeper|token:[A-Za-z0-9._:|-]{1,128})$/, 'owner, keeper, or token: and the id of a token')
        .optional(),
      /** Decided then or later, and before then. */
      from: moment.optional(),
      to: moment.optional(),
      limit,
      cursor,
    }),
    replies: { 200: auditReply },
    async handle({ query, who }, { database }) {
      const { type, stream, actor, from, to } = query
      checkFromTo(from, to)
      const after = fromCursor(query.cursor, wholeForm, wholeForm)
      const wish = {
        limit: query.limit ?? limitDefault,
        ...(type !== undefined && { type }),
        ...(stream !== undefined && { stream }),
        ...(actor !== undefined && { actor }),
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        ...(after !== undefined && { after: { occurredAt: BigInt(after[0]), seq: BigInt(after[1]) } }),
      }
      const { items, next } = await database.asTenant(who.tenantId, (tx) => auditPage(tx, who.tenantId, wish))
      return {
        status: 200,
        body: {
          events: items.map(toApiEvent),
          next: toCursor(next && [String(next.occurredAt), String(next.seq)]),
        },
      }
    },
  }),
]
