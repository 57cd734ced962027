/** Caps: set, removed and listed for a tenant; how the own ones stand. */
import { z } from 'zod'
import { capabilityNamed } from '../../capabilities/index.ts'
import { removeCap, setCap } from '../../producers/index.ts'
import { capById, capsInForce } from '../../projections/cap-standing/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { id, none } from '../http/forms.ts'
import { type FieldError, invalid, notFound } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { unknownCapability } from '../unknown-capability.ts'
import {
  type ApiCapBody,
  capBody,
  capReply,
  capsReply,
  fromApiCap,
  standingsReply,
  toApiCap,
  toApiStanding,
} from './convert.ts'
import { standingsOf } from './standings.ts'

export const capRoutes: readonly Route[] = [
  route({
    method: 'put',
    path: '/v1/tenants/{t}/caps/{capId}',
    summary: 'Sets a cap, or another limit of one; in force for every job submitted after the call returns.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id, capId: id }),
    query: none,
    body: capBody,
    example: { metric: 'money', limit: '250.00', period: 'month', scope: { capability: 'classify.sentiment' } },
    replies: { 200: capReply },
    codes: answerCodes,
    async handle({ params, body, caller, gone }, parts) {
      const { t: tenantId, capId } = params
      const errors = wrongIn(body, parts)
      if (errors.length > 0) throw invalid(...errors)
      const { requestId } = await setCap(parts.appender, caller, { tenantId, capId, ...fromApiCap(body) })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      const cap = await parts.database.asTenant(tenantId, (tx) => capById(tx, tenantId, capId))
      if (!cap) throw notFound('cap any more: it was removed meanwhile')
      return { status: 200, body: toApiCap(cap) }
    },
  }),
  route({
    method: 'delete',
    path: '/v1/tenants/{t}/caps/{capId}',
    summary: 'Removes a cap.',
    roles: ['platform-admin', 'tenant-admin'],
    reach: 'subtree',
    params: z.strictObject({ t: id, capId: id }),
    query: none,
    replies: { 204: null },
    codes: answerCodes,
    async handle({ params, caller, gone }, parts) {
      const { t: tenantId, capId } = params
      const { requestId } = await removeCap(parts.appender, caller, { tenantId, capId })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      return { status: 204 }
    },
  }),
  route({
    method: 'get',
    path: '/v1/tenants/{t}/caps',
    summary: 'Caps in force for a tenant, in order of id.',
    roles: ['platform-admin', 'tenant-admin', 'reader'],
    reach: 'own',
    params: z.strictObject({ t: id }),
    query: none,
    replies: { 200: capsReply },
    async handle({ params }, { database }) {
      const caps = await database.asTenant(params.t, (tx) => capsInForce(tx, params.t))
      return { status: 200, body: { caps: caps.map(toApiCap) } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/caps/standing',
    summary: 'The own caps, with what is settled, held and free in the period that runs now.',
    roles: ['tenant-admin', 'reader'],
    params: none,
    query: none,
    replies: { 200: standingsReply },
    async handle({ who }, parts) {
      const { at, standings } = await standingsOf(who.tenantId, parts)
      return { status: 200, body: { at: isoFromMicros(at), caps: standings.map(toApiStanding) } }
    },
  }),
]

function wrongIn({ anchorDate, period, scope }: ApiCapBody, { calendar }: Parts): FieldError[] {
  const errors: FieldError[] = []
  if (anchorDate !== undefined && !calendar.isAnchorDate(anchorDate)) {
    errors.push({
      where: 'body.anchorDate',
      problem: 'It is not a date of the calendar.',
      expected: 'A date such as 2026-01-31.',
      remedy: 'Correct it.',
    })
  }
  if (anchorDate !== undefined && period === 'total') {
    errors.push({
      where: 'body.anchorDate',
      problem: 'A cap over all time has no periods to anchor.',
      expected: 'No anchorDate with the period total.',
      remedy: 'Remove it, or choose another period.',
    })
  }
  if (scope?.capability !== undefined && !capabilityNamed(scope.capability)) {
    errors.push(unknownCapability('body.scope.capability', 'the cap would limit nothing'))
  }
  return errors
}
