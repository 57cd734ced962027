/** The starvation bound, held against what started: how much of others went first while a job was ready for its place. */
import { starvationBound } from '../../processors/index.ts'

type Ready = { tenantId: string; cost: number; weight: number; readyAt: bigint }
type Line = { weight: number; startedCost: number; othersAtLastStart: number }

/** One for every queue: a pool of a partition. */
export function fairnessCheck(violated: (what: string) => void) {
  const lines = new Map<string, Line>()
  /** The cost of all that had started, at every start. */
  const starts: { at: bigint; totalCost: number }[] = []
  let totalCost = 0

  return {
    /** Call for every job that gets its place, in order. */
    started({ tenantId, cost, weight, readyAt }: Ready, at: bigint): void {
      const line = lines.get(tenantId) ?? { weight, startedCost: 0, othersAtLastStart: 0 }
      lines.set(tenantId, line)
      // Since the tenant's last start all that started was of others; before the job was ready, nothing counts.
      const sinceLastStart = totalCost - line.startedCost - line.othersAtLastStart
      const sinceReady = totalCost - (starts.findLast((start) => start.at <= readyAt)?.totalCost ?? 0)
      const before = Math.min(sinceLastStart, sinceReady)
      const others = [...lines].filter(([other]) => other !== tenantId).map(([, other]) => other)
      const bound = starvationBound({ cost, weight }, others)
      if (before > bound)
        violated(`${before} of others started before a ready job of ${tenantId}, at most ${bound} may`)
      totalCost += cost
      line.startedCost += cost
      line.othersAtLastStart = totalCost - line.startedCost
      starts.push({ at, totalCost })
    },
  }
}
