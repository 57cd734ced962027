/** Tokens: issued, listed and revoked for a tenant. */
import { z } from 'zod'
import { issueToken, revokeToken } from '../../producers/index.ts'
import { tokenPage } from '../../projections/token-list/queries.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { microsFromMs } from '../../schemas/units.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, idForm, toCursor } from '../http/cursor.ts'
import { cursor, id, limit, limitDefault, none } from '../http/forms.ts'
import { invalid, Problem } from '../http/problem.ts'
import { type Route, route } from '../route.ts'
import { fromApiToken, issuedReply, toApiToken, tokenBody, tokensReply } from './convert.ts'

export const tokenRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/tenants/{t}/tokens',
    summary: 'Issues a token; it is shown in this answer and never again, and works when the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id }),
    query: none,
    body: tokenBody,
    example: { role: 'submitter' },
    replies: { 201: issuedReply },
    codes: answerCodes,
    async handle({ params, body, who, caller, gone }, parts) {
      const wanted = fromApiToken(body)
      if (body.role === 'platform-admin' && who.role !== 'platform-admin') {
        throw new Problem('FORBIDDEN', {
          detail: 'Only a platform admin may issue a token of the role platform-admin.',
        })
      }
      if (body.role === 'platform-admin' && params.t !== platformTenantId) throw invalid(adminElsewhere)
      const ahead = wanted.expiresAt === null ? 1n : wanted.expiresAt - microsFromMs(parts.clock.nowMs())
      if (ahead <= 0n) throw invalid(expiredAlready)
      if (ahead > lifeMaxMicros) throw invalid(expiresTooLate)
      const tenantId = params.t
      const { requestId, tokenId, token } = await issueToken(parts.appender, parts.random, caller, {
        tenantId,
        ...wanted,
      })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      const { role, memberId, expiresAt } = body
      return {
        status: 201,
        body: { id: tokenId, token, tenantId, role, memberId: memberId ?? null, expiresAt: expiresAt ?? null },
      }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/tokens',
    summary: 'Tokens of a tenant, without the tokens themselves, in order of id.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: z.strictObject({ limit, cursor }),
    replies: { 200: tokensReply },
    async handle({ params, query }, { database, clock, tokenUse }) {
      const after = fromCursor(query.cursor, idForm)?.[0]
      const wish = { limit: query.limit ?? limitDefault, ...(after !== undefined && { after }) }
      const { items, next } = await database.asTenant(params.t, (tx) => tokenPage(tx, params.t, wish))
      const lastUsed = await tokenUse.lastUsed(
        params.t,
        items.map(({ tokenId }) => tokenId),
      )
      const now = microsFromMs(clock.nowMs())
      return {
        status: 200,
        body: {
          tokens: items.map((token, index) => toApiToken(token, now, lastUsed[index] ?? null)),
          next: toCursor(next === null ? null : [next]),
        },
      }
    },
  }),
  route({
    method: 'delete',
    path: '/v1/tenants/{t}/tokens/{tokenId}',
    summary: 'Revokes a token; it no longer works when the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id, tokenId: id }),
    query: none,
    replies: { 204: null },
    codes: answerCodes,
    async handle({ params, caller, gone }, parts) {
      const asked = await revokeToken(parts.appender, caller, { tenantId: params.t, tokenId: params.tokenId })
      await awaitAnswer({ tenantId: params.t, requestId: asked.requestId }, parts, gone)
      return { status: 204 }
    },
  }),
]

/** Ten years: what is later is more likely a mistake in the unit than a wish. */
const lifeMaxMicros = 3_653n * 86_400_000_000n

const adminElsewhere = {
  where: 'body.role',
  problem: 'A platform admin belongs to the tenant platform.',
  expected: 'tenant-admin, submitter or reader.',
  remedy: 'Choose another role, or issue the token for the tenant platform.',
}
const expiredAlready = {
  where: 'body.expiresAt',
  problem: 'It is not in the future.',
  expected: 'A time in the future.',
  remedy: 'Choose a later time, or leave it out for a token that does not expire.',
}
const expiresTooLate = {
  where: 'body.expiresAt',
  problem: 'It is more than ten years ahead.',
  expected: 'A time within ten years.',
  remedy: 'Choose an earlier time, or leave it out for a token that does not expire.',
}
