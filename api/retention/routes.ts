/** How long content is kept, and its erasure. Facts hold no content, so amounts, jobs and usage stay. */
import { z } from 'zod'
import { eraseContent, setRetention } from '../../producers/index.ts'
import { contentDaysOf } from '../../projections/content-retention/queries.ts'
import { type Erasure, erasureById, erasurePage } from '../../projections/erasure-list/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, idForm, toCursor, wholeForm } from '../http/cursor.ts'
import { cursor, id, limit, limitDefault, next, none, optionalTime, time } from '../http/forms.ts'
import { notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'

export const contentDaysMin = 7
export const contentDaysMax = 90

const retentionBody = z.strictObject({ contentDays: z.int().min(contentDaysMin).max(contentDaysMax) })
const retentionReply = z.strictObject({
  contentDays: z.int(),
  /** Whether the tenant has not said so itself: then what the nearest tenant above said holds, or the default of the service. */
  isDefault: z.boolean(),
})
const erasureReply = z.strictObject({
  id: z.string(),
  status: z.enum(['requested', 'done']),
  requestedAt: time,
  requestedBy: z.string(),
  erasedAt: optionalTime,
  /** Keys destroyed and contents deleted; null until it is done. */
  keys: z.int().nullable(),
  contents: z.int().nullable(),
})
const erasuresReply = z.strictObject({ erasures: z.array(erasureReply), next })

export const retentionRoutes: readonly Route[] = [
  route({
    method: 'put',
    path: '/v1/tenants/{t}/retention',
    summary: 'Sets how many days inputs and results are kept; fewer than before also for those that are there.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: none,
    body: retentionBody,
    example: { contentDays: 30 },
    replies: { 200: retentionReply },
    codes: answerCodes,
    async handle({ params, body, caller, gone }, parts) {
      const { t: tenantId } = params
      const { requestId } = await setRetention(parts.appender, caller, { tenantId, ...body })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      return { status: 200, body: await retentionOf(tenantId, parts) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/retention',
    summary: 'How many days inputs and results are kept.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: none,
    replies: { 200: retentionReply },
    handle: async ({ params }, parts) => ({ status: 200, body: await retentionOf(params.t, parts) }),
  }),
  route({
    method: 'post',
    path: '/v1/tenants/{t}/erasures',
    summary:
      'Asks that all content of a tenant be erased: inputs, results and label sets, by destroying their keys. It is under way when the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: none,
    replies: { 202: erasureReply },
    codes: answerCodes,
    async handle({ params, caller, gone }, parts) {
      const { t: tenantId } = params
      const { requestId, erasureId } = await eraseContent(parts.appender, parts.random, caller, { tenantId })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      return { status: 202, body: await findErasure(tenantId, erasureId, parts) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/erasures',
    summary: 'Erasures of a tenant, newest first.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: z.strictObject({ limit, cursor }),
    replies: { 200: erasuresReply },
    async handle({ params, query }, { database }) {
      const after = fromCursor(query.cursor, wholeForm, idForm)
      const wish = {
        limit: query.limit ?? limitDefault,
        ...(after !== undefined && { after: { requestedAt: BigInt(after[0]), erasureId: after[1] } }),
      }
      const page = await database.asTenant(params.t, (tx) => erasurePage(tx, params.t, wish))
      const last = page.next && [String(page.next.requestedAt), page.next.erasureId]
      return { status: 200, body: { erasures: page.items.map(toApiErasure), next: toCursor(last) } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/erasures/{erasureId}',
    summary: 'An erasure: whether it is done, and what went.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id, erasureId: id }),
    query: none,
    replies: { 200: erasureReply },
    handle: async ({ params }, parts) => ({ status: 200, body: await findErasure(params.t, params.erasureId, parts) }),
  }),
]

async function retentionOf(tenantId: string, { database, contentDaysDefault }: Parts) {
  const said = await database.asService((tx) => contentDaysOf(tx, tenantId))
  return { contentDays: said?.contentDays ?? contentDaysDefault, isDefault: !said?.isOwn }
}

async function findErasure(tenantId: string, erasureId: string, { database }: Parts) {
  const erasure = await database.asTenant(tenantId, (tx) => erasureById(tx, { tenantId, erasureId }))
  if (!erasure) throw notFound('erasure')
  return toApiErasure(erasure)
}

const toApiErasure = (erasure: Erasure): z.infer<typeof erasureReply> => ({
  id: erasure.erasureId,
  status: erasure.erasedAt === null ? 'requested' : 'done',
  requestedAt: isoFromMicros(erasure.requestedAt),
  requestedBy: erasure.requestedBy,
  erasedAt: erasure.erasedAt === null ? null : isoFromMicros(erasure.erasedAt),
  keys: erasure.keys === null ? null : Number(erasure.keys),
  contents: erasure.payloads === null ? null : Number(erasure.payloads),
})
