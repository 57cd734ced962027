/** Figures of a running service, from /metrics. */
import type { ApiClient } from './api-client.ts'

export type ServiceFigures = {
  openJobs: number
  running: number
  queued: number
  indeterminate: number
  restoredFacts: number
  /** Requests on the log that no owner has taken yet. */
  lagRequests: number
  /** Committed facts that the views do not show yet. */
  viewsLagFacts: number
}

/** Summed over partitions. Rejects when the service does not answer. */
export async function serviceFigures(client: Pick<ApiClient, 'ask'>): Promise<ServiceFigures> {
  const { body } = await client.ask('', { method: 'GET', path: '/metrics' })
  const text = String(body)
  return {
    openJobs: sumOf(text, 'pf3_owner_open_jobs'),
    running: sumOf(text, 'pf3_owner_running'),
    queued: sumOf(text, 'pf3_owner_queued'),
    indeterminate: sumOf(text, 'pf3_owner_indeterminate'),
    restoredFacts: sumOf(text, 'pf3_owner_restored_facts'),
    lagRequests: sumOf(text, 'pf3_owner_lag_requests'),
    viewsLagFacts: sumOf(text, 'pf3_views_lag_facts'),
  }
}

const sumOf = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )
