/** What the system itself says of a tenant: its job list, usage, ledger and caps, over the API. */
import type { ApiJob } from '../../api/jobs/convert.ts'
import { picoFromDecimal } from '../../schemas/units.ts'
import type { ApiClient } from './api-client.ts'

export type TenantFigures = {
  tenantId: string
  /** Jobs by status, from the job list. */
  jobs: Record<string, number>
  refusals: Record<string, number>
  /** Admitted jobs that ended, from usage. */
  usedJobs: number
  /** Sum of the ledger over all periods. */
  ledgerPico: bigint
  ledgerJobs: number
  /** Sum of what usage says was charged. */
  usageChargedPico: bigint
  billingPeriods: string[]
  /** Caps, with what is still held under them and whether more is settled than they allow. */
  caps: { id: string; held: string; isOver: boolean }[]
}

const pagesMax = 1_000

/** `token` is that of a tenant admin. `day` is a day of the run, YYYY-MM-DD; the run may have begun or ended beside it. */
export async function tenantFigures(
  client: ApiClient,
  token: string,
  tenantId: string,
  day: string,
): Promise<TenantFigures> {
  const get = <Body>(path: string) => client.mustAsk<Body>(token, { method: 'GET', path })
  const jobs = await allJobs(get)
  const billingPeriods = [...new Set(jobs.flatMap((job) => (job.billingPeriod === null ? [] : [job.billingPeriod])))]
  const [usage, standing, ...ledgers] = await Promise.all([
    get<{ total: { jobs: number; charged: string } }>(`/v1/usage?from=${dayBeside(day, -1)}&to=${dayBeside(day, 1)}`),
    get<{
      caps: { id: string; metric: string; limit: number | string; held: number | string; settled: number | string }[]
    }>('/v1/caps/standing'),
    ...billingPeriods.map((period) =>
      get<{ total: { jobs: number; amount: string } }>(`/v1/billing/ledger?period=${period}&limit=1`),
    ),
  ])
  return {
    tenantId,
    jobs: countBy(jobs, (job) => job.status),
    refusals: countBy(jobs, (job) => job.refusal?.reason),
    usedJobs: usage.total.jobs,
    ledgerPico: ledgers.reduce((sum, { total }) => sum + pico(total.amount), 0n),
    ledgerJobs: ledgers.reduce((sum, { total }) => sum + total.jobs, 0),
    usageChargedPico: pico(usage.total.charged),
    billingPeriods,
    caps: standing.caps.map(({ id, limit, held, settled }) => ({
      id,
      held: String(held),
      isOver: pico(String(settled)) > pico(String(limit)),
    })),
  }
}

async function allJobs(get: <Body>(path: string) => Promise<Body>): Promise<ApiJob[]> {
  const jobs: ApiJob[] = []
  let cursor = ''
  for (let pages = 0; pages < pagesMax; pages++) {
    const page = await get<{ jobs: ApiJob[]; next: string | null }>(`/v1/jobs?limit=1000${cursor}`)
    jobs.push(...page.jobs)
    if (page.next === null) return jobs
    cursor = `&cursor=${encodeURIComponent(page.next)}`
  }
  throw new Error(`More than ${pagesMax} pages of jobs.`)
}

export function countBy<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string | undefined,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) {
    const name = nameOf(item)
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

export function pico(decimal: string): bigint {
  const amount = picoFromDecimal(decimal)
  if (amount === undefined) throw new Error(`${JSON.stringify(decimal)} is no amount.`)
  return amount
}

const dayMs = 86_400_000
export const dayBeside = (day: string, days: number): string =>
  new Date(Date.parse(day) + days * dayMs).toISOString().slice(0, 10)
