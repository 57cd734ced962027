/** Tenants: opened below another, and looked at by those above them. */
import { z } from 'zod'
import { registerTenant } from '../../producers/index.ts'
import { childrenOf, tenantById } from '../../projections/tenant-tree/queries.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, idForm, toCursor } from '../http/cursor.ts'
import { cursor, id, limit, limitDefault, none } from '../http/forms.ts'
import { invalid, notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { tenantBody, tenantReply, tenantsReply, toApiTenant } from './convert.ts'

const findTenant = async ({ database }: Parts, tenantId: string) => {
  const tenant = await database.asService((tx) => tenantById(tx, tenantId))
  if (!tenant) throw notFound('tenant')
  return toApiTenant(tenant)
}

export const tenantRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/tenants',
    summary: 'Opens a tenant below another; it can be used when the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: none,
    query: none,
    body: tenantBody,
    example: { id: 'harbor-bakery', level: 'client', name: 'Harbor Bakery', currency: 'USD', timeZone: 'Africa/Lagos' },
    replies: { 201: tenantReply },
    codes: answerCodes,
    tenantOf: ({ body }) => body.parentId,
    async handle({ body, who, caller, gone }, parts) {
      if (!parts.calendar.isTimeZone(body.timeZone)) throw invalid(unknownZone)
      const parentId = body.parentId ?? who.tenantId
      const { id: registeredTenantId, level, name, currency, timeZone } = body
      const asked = await registerTenant(parts.appender, parts.random, caller, {
        ...(registeredTenantId !== undefined && { registeredTenantId }),
        level,
        parentId,
        name,
        currency,
        timeZone,
      })
      await awaitAnswer({ tenantId: platformTenantId, requestId: asked.requestId }, parts, gone)
      return { status: 201, body: await findTenant(parts, asked.registeredTenantId) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants',
    summary: 'Tenants directly below one, by default the own one, in order of id.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: none,
    query: z.strictObject({ parentId: id.optional(), limit, cursor }),
    replies: { 200: tenantsReply },
    tenantOf: ({ query }) => query.parentId,
    async handle({ query, who }, { database }) {
      const parentId = query.parentId ?? who.tenantId
      const after = fromCursor(query.cursor, idForm)?.[0]
      const wish = { limit: query.limit ?? limitDefault, ...(after !== undefined && { after }) }
      const { items, next } = await database.asService((tx) => childrenOf(tx, parentId, wish))
      return { status: 200, body: { tenants: items.map(toApiTenant), next: toCursor(next === null ? null : [next]) } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}',
    summary: 'A tenant: the own one, or one below it.',
    roles: ['platform-admin', 'tenant-admin', 'submitter', 'reader'],
    reach: 'subtree',
    params: z.strictObject({ t: id }),
    query: none,
    replies: { 200: tenantReply },
    async handle({ params }, parts) {
      return { status: 200, body: await findTenant(parts, params.t) }
    },
  }),
]

const unknownZone = {
  where: 'body.timeZone',
  problem: 'It is not a known time zone.',
  expected: 'A name of the IANA time zone database, such as Africa/Lagos.',
  remedy: 'Choose one of those names.',
}
