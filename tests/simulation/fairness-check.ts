/** The starvation bound, held against what started: how much of others went first while a job was ready for its place. */
import { starvationBound } from '../../processors/index.ts'

type Ready = { tenantId: string; cost: number; weight: number; readyAt: bigint }
type Line = {
  weight: number
  /** The cost of all that had started when the tenant's line last moved. */
  totalCostAtMove: number
}

/** One for every queue: a pool of a partition. */
export function fairnessCheck(violated: (what: string) => void) {
  const lines = new Map<string, Line>()
  /** The cost of all that had started, at every start. */
  const starts: { at: bigint; totalCost: number }[] = []
  let totalCost = 0

  return {
    /** Call for every job that gets its place, in order. */
    started({ tenantId, cost, weight, readyAt }: Ready, at: bigint): void {
      const line = lines.get(tenantId) ?? { weight, totalCostAtMove: 0 }
      lines.set(tenantId, line)
      // Since the tenant's line last moved all that started was of others; before the job was ready, nothing counts.
      const sinceMove = totalCost - line.totalCostAtMove
      const sinceReady = totalCost - (starts.findLast((start) => start.at <= readyAt)?.totalCost ?? 0)
      const before = Math.min(sinceMove, sinceReady)
      const others = [...lines].filter(([other]) => other !== tenantId).map(([, other]) => other)
      const bound = starvationBound({ cost, weight }, others)
      if (before > bound)
        violated(`${before} of others started before a ready job of ${tenantId}, at most ${bound} may`)
      totalCost += cost
      line.totalCostAtMove = totalCost
      starts.push({ at, totalCost })
    },
    /** Call when a job ends that waited: the bound holds for the first of a line, and behind a dearer one others go first for longer. */
    left(tenantId: string): void {
      const line = lines.get(tenantId)
      if (line) line.totalCostAtMove = totalCost
    },
  }
}
