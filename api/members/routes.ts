/** Members: the agents, staff and users of a tenant. */
import { z } from 'zod'
import { addMember, removeMember } from '../../producers/index.ts'
import { memberById, memberPage } from '../../projections/member-list/queries.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, idForm, toCursor } from '../http/cursor.ts'
import { cursor, id, limit, limitDefault, none } from '../http/forms.ts'
import { notFound } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { memberBody, memberReply, membersReply, toApiMember } from './convert.ts'

export const memberRoutes: readonly Route[] = [
  route({
    method: 'put',
    path: '/v1/tenants/{t}/members/{memberId}',
    summary:
      'Adds a member, or makes it one of another kind; choose an opaque id, for it is kept as long as facts are.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id, memberId: id }),
    query: none,
    body: memberBody,
    example: { kind: 'agent' },
    replies: { 200: memberReply },
    codes: answerCodes,
    async handle({ params, body, caller, gone }, parts) {
      const { t: tenantId, memberId } = params
      const { requestId } = await addMember(parts.appender, caller, { tenantId, memberId, kind: body.kind })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      const member = await parts.database.asTenant(tenantId, (tx) => memberById(tx, { tenantId, memberId }))
      if (!member) throw notFound('member any more: it was removed meanwhile')
      return { status: 200, body: toApiMember(member) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/members',
    summary: 'Members of a tenant, in order of id.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: z.strictObject({ limit, cursor }),
    replies: { 200: membersReply },
    async handle({ params, query }, { database }) {
      const after = fromCursor(query.cursor, idForm)?.[0]
      const wish = { limit: query.limit ?? limitDefault, ...(after !== undefined && { after }) }
      const { items, next } = await database.asTenant(params.t, (tx) => memberPage(tx, params.t, wish))
      return { status: 200, body: { members: items.map(toApiMember), next: toCursor(next === null ? null : [next]) } }
    },
  }),
  route({
    method: 'delete',
    path: '/v1/tenants/{t}/members/{memberId}',
    summary: 'Removes a member; neither it nor any of its tokens can do anything when the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id, memberId: id }),
    query: none,
    replies: { 204: null },
    codes: answerCodes,
    async handle({ params, caller, gone }, parts) {
      const { t: tenantId, memberId } = params
      const { requestId } = await removeMember(parts.appender, caller, { tenantId, memberId })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      return { status: 204 }
    },
  }),
]
