/** Label sets of the own tenant: labels and labelled examples for classify.category, versioned by hash. */
import { z } from 'zod'
import {
  labelSetBytesMax,
  labelSetContent,
  labelSetHash,
  labelSetIdSchema,
  labelSetSchema,
  labelSetValuesMax,
} from '../../capabilities/index.ts'
import { registerLabelSet } from '../../producers/index.ts'
import { labelSetById, labelSetPage } from '../../projections/label-sets/queries.ts'
import { answerCodes, awaitAnswer } from '../await-answer.ts'
import { fromCursor, idForm, toCursor } from '../http/cursor.ts'
import { cursor, limit, limitDefault, none } from '../http/forms.ts'
import { notFound, Problem } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { labelSetReply, labelSetsReply, toApiLabelSet } from './convert.ts'

const findLabelSet = async ({ database }: Parts, tenantId: string, labelSetId: string) => {
  const labelSet = await database.asTenant(tenantId, (tx) => labelSetById(tx, tenantId, labelSetId))
  if (!labelSet) throw notFound('label set')
  return toApiLabelSet(labelSet)
}

export const labelSetRoutes: readonly Route[] = [
  route({
    method: 'put',
    path: '/v1/label-sets/{labelSetId}',
    summary: 'Registers labels and labelled examples; jobs submitted after the call returns use this version.',
    roles: ['tenant-admin'],
    params: z.strictObject({ labelSetId: labelSetIdSchema }),
    query: none,
    body: labelSetSchema,
    example: {
      labels: ['praise', 'complaint'],
      examples: [
        { text: 'The bread was wonderful.', label: 'praise' },
        { text: 'Nobody answered the telephone.', label: 'complaint' },
      ],
    },
    bodyBytesMax: labelSetBytesMax,
    bodyValuesMax: labelSetValuesMax,
    replies: { 200: labelSetReply },
    codes: [...answerCodes, 'VAULT_KEY_GONE'],
    async handle({ params, body, who, caller, gone }, parts) {
      const { tenantId } = who
      const { labelSetId } = params
      const content = labelSetContent(body)
      // Escapes can make the canonical text longer than the one that was sent.
      if (content.byteLength > labelSetBytesMax)
        throw new Problem('BODY_TOO_LARGE', { members: { bytesMax: labelSetBytesMax } })
      const { requestId } = await registerLabelSet(parts.appender, parts.vault, caller, {
        tenantId,
        labelSetId,
        hash: labelSetHash(content),
        labelCount: body.labels.length,
        exampleCount: body.examples.length,
        content,
      })
      await awaitAnswer({ tenantId, requestId }, parts, gone)
      return { status: 200, body: await findLabelSet(parts, tenantId, labelSetId) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/label-sets/{labelSetId}',
    summary: 'A label set: its version and size, not its content.',
    isRevalidated: true,
    roles: ['tenant-admin', 'submitter', 'reader'],
    params: z.strictObject({ labelSetId: labelSetIdSchema }),
    query: none,
    replies: { 200: labelSetReply },
    handle: async ({ params, who }, parts) => ({
      status: 200,
      body: await findLabelSet(parts, who.tenantId, params.labelSetId),
    }),
  }),
  route({
    method: 'get',
    path: '/v1/label-sets',
    summary: 'Label sets of the own tenant, in order of id.',
    roles: ['tenant-admin', 'submitter', 'reader'],
    params: none,
    query: z.strictObject({ limit, cursor }),
    replies: { 200: labelSetsReply },
    async handle({ query, who }, { database }) {
      const after = fromCursor(query.cursor, idForm)?.[0]
      const wish = { limit: query.limit ?? limitDefault, ...(after !== undefined && { after }) }
      const { items, next } = await database.asTenant(who.tenantId, (tx) => labelSetPage(tx, who.tenantId, wish))
      return {
        status: 200,
        body: { labelSets: items.map(toApiLabelSet), next: toCursor(next === null ? null : [next]) },
      }
    },
  }),
]
