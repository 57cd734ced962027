/** What an ancestor was told, over HTTP, held against the ledgers of those below it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { ApiClient } from '../../bin/demo/api-client.ts'
import type { Stage } from '../e2e/stage.ts'

type Named = { id: string; token: string }
type Told = { group: string; jobs: number; charged: string }

/** Who was told knows it; that the sender knows so, too, is one commit away. */
export const atRestMs = 2_000
const toldMsMax = 120_000

/** A partner and clients below it. */
export async function partnerOf(
  { tenant }: Pick<Stage, 'tenant'>,
  ids: readonly string[],
): Promise<{ partner: Named; clients: Named[] }> {
  const partner = await tenant('partner-1', { level: 'partner' })
  const clients: Named[] = []
  for (const id of ids) clients.push(await tenant(id, { parentId: partner.id }))
  return { partner, clients }
}

/** Waits until the ancestor has been told of as many jobs as the ledgers below have, and then of exactly what they say. */
export async function expectTold(client: ApiClient, above: Named, below: readonly Named[]): Promise<void> {
  // A test may run while a month ends.
  for (const period of new Set([dayBeside(-2).slice(0, 7), dayBeside(2).slice(0, 7)])) {
    const ledgers = await Promise.all(below.map((one) => ledgerOf(client, one, period)))
    const wanted = ledgers.filter(({ jobs }) => jobs > 0).sort((a, b) => (a.group < b.group ? -1 : 1))
    for (const sinceMs = performance.now(); ; ) {
      const told = await rollupsOf(client, above, period)
      if (jobsOf(told) >= jobsOf(wanted)) {
        expect(told).toEqual(wanted)
        break
      }
      if (performance.now() - sinceMs > toldMsMax)
        throw new Error(`${above.id} was told of ${jobsOf(told)} jobs of ${jobsOf(wanted)} within ${toldMsMax} ms`)
      await sleep(50)
    }
  }
}

const jobsOf = (all: readonly Told[]): number => all.reduce((sum, { jobs }) => sum + jobs, 0)
const dayBeside = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)

async function rollupsOf(client: ApiClient, { token }: Named, period: string): Promise<Told[]> {
  const path = `/v1/rollups?from=${dayBeside(-2)}&to=${dayBeside(2)}&groupBy=tenant&period=${period}`
  const { groups } = await client.mustAsk<{ groups: Told[] }>(token, { method: 'GET', path })
  return groups.map(({ group, jobs, charged }) => ({ group, jobs, charged }))
}

async function ledgerOf(client: ApiClient, { id, token }: Named, period: string): Promise<Told> {
  const path = `/v1/billing/ledger?period=${period}`
  const { total } = await client.mustAsk<{ total: { jobs: number; amount: string } }>(token, { method: 'GET', path })
  return { group: id, jobs: total.jobs, charged: total.amount }
}
