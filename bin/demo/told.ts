/** What a partner is told of its clients, over the API. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiClient } from './api-client.ts'
import { dayBeside, pico } from './figures.ts'

export type ToldFigures = { tenantId: string; jobs: number; chargedPico: bigint }

const waitMsMax = 60_000
const lookMs = 100

/** Waits until it is as many jobs as the clients have in their ledgers, or for a minute: what it is told lags a little. */
export async function toldFigures(
  client: ApiClient,
  token: string,
  tenantId: string,
  { day, jobs }: { day: string; jobs: number },
): Promise<ToldFigures> {
  const path = `/v1/rollups?from=${dayBeside(day, -1)}&to=${dayBeside(day, 1)}`
  for (const since = performance.now(); ; ) {
    const { totals } = await client.mustAsk<{ totals: { jobs: number; charged: string }[] }>(token, {
      method: 'GET',
      path,
    })
    const told = totals.reduce((sum, one) => sum + one.jobs, 0)
    const chargedPico = totals.reduce((sum, one) => sum + pico(one.charged), 0n)
    if (told >= jobs || performance.now() - since > waitMsMax) return { tenantId, jobs: told, chargedPico }
    await sleep(lookMs)
  }
}
