/** Whether the process lives, whether it does its work, and its figures. None of it names a tenant. */
import { z } from 'zod'
import { none } from '../http/forms.ts'
import { Problem } from '../http/problem.ts'
import { optionalParts } from '../parts.ts'
import { publicRoute, type Route } from '../route.ts'

export const healthRoutes: readonly Route[] = [
  publicRoute({
    method: 'get',
    path: '/healthz',
    summary: 'The process lives.',
    params: none,
    query: none,
    isNeverTurnedAway: true,
    replies: { 200: z.strictObject({ status: z.literal('ok') }) },
    handle: async () => ({ status: 200, body: { status: 'ok' } }),
  }),
  publicRoute({
    method: 'get',
    path: '/readyz',
    summary:
      'Every role of the process does its work; 503 while one does not. What it goes on without is told as degraded.',
    params: none,
    query: none,
    isNeverTurnedAway: true,
    replies: { 200: z.strictObject({ status: z.literal('ready'), degraded: z.array(z.enum(optionalParts)) }) },
    codes: ['NOT_READY'],
    async handle({ readiness }) {
      const { isReady, waitingFor, degraded, restoringFacts } = readiness()
      if (!isReady) {
        const members = { waitingFor: waitingFor.join(', '), ...(restoringFacts && { restoringFacts }) }
        throw new Problem('NOT_READY', { members })
      }
      return { status: 200, body: { status: 'ready', degraded: [...degraded] } }
    },
  }),
  publicRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Figures in the Prometheus text format.',
    params: none,
    query: none,
    isNeverTurnedAway: true,
    replies: { 200: 'text/plain' },
    handle: async ({ metricsText }) => ({
      status: 200,
      body: await metricsText(),
      headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' },
    }),
  }),
]
