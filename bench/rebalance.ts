/** What jobs notice when a process joins and takes half of the partitions, and when it leaves again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../bin/demo/fairness.ts'
import { onKafka } from './on-kafka.ts'
import type { Bench, Row } from './report.ts'
import { benchTenants, jobsOnTime, jobsTogether } from './work.ts'

const tenants = 60
const load = { perS: 60, forMs: 8_000 }
const intoTheLoadMs = 1_500

export const rebalance: Bench = {
  about: `Submission to end of jobs of ${tenants} tenants on six partitions, ${load.perS} a second, all sent to the first process: with nothing else happening, while a second process joins (and takes three of the partitions), and while it leaves in good order.`,
  limits:
    'The start of the second process takes the better half of a core for a second, on a machine of two; that is in the figures. A process that is killed instead: [restart](#restart), and the gate in [reliability](reliability.md).',
  run: ({ rounds, brokerCount }) =>
    onKafka({ brokerCount, connectionsMax: 128 }, async ({ client, env, join, setting }) => {
      const names = Array.from({ length: tenants }, (_, n) => `tenant-${n}`)
      const tokens = await benchTenants(client, env['PF3_ROOT_TOKEN'] ?? '', names)
      await jobsTogether(client, tokens, 'warm-up', 1_000, 64)
      const rows: Row[] = []
      const rowOf = (what: string): Row => {
        const known = rows.find((row) => row.what === what)
        if (known) return known
        rows.push({ what, unit: 'ms', ours: [] })
        return rowOf(what)
      }
      const raw: Record<string, number[]> = {}
      const during = async <Result>(what: string, round: number, event: () => Promise<Result>): Promise<Result> => {
        const jobs = jobsOnTime(client, tokens, `${what}-${round}`, load)
        await sleep(intoTheLoadMs)
        const result = await event()
        const took = (await jobs).sort((a, b) => a - b)
        rowOf(`${what}, half of them within`).ours.push(quantile(took, 0.5))
        rowOf(`${what}, the slowest`).ours.push(took.at(-1) ?? Number.NaN)
        raw[what] = [...(raw[what] ?? []), ...took]
        return result
      }
      for (let round = 0; round < rounds; round++) {
        await during('nothing happens', round, async () => undefined)
        const other = await during('a process joins', round, join)
        await during('a process leaves', round, () => other.leave())
      }
      return { rows, raw, setting }
    }),
}
