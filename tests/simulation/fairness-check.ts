/** The starvation bound, held against what started: how much of others went first while a job was ready for its place. */
import { starvationBound } from '../../processors/index.ts'

type Ready = { tenantId: string; cost: number; weight: number; readyAt: bigint }

/** One for every queue: a pool of a partition. */
export function fairnessCheck(violated: (what: string) => void) {
  /** Weights of those who have started something. */
  const weights = new Map<string, number>()
  /** The cost of all that had started when a tenant's line last moved; also of one that has started nothing yet. */
  const totalCostAtMove = new Map<string, number>()
  /** The cost of all that had started, at every start. */
  const starts: { at: bigint; totalCost: number }[] = []
  let totalCost = 0

  return {
    /** Call for every job that gets its place, in order. */
    started({ tenantId, cost, weight, readyAt }: Ready, at: bigint): void {
      weights.set(tenantId, weight)
      // Since the tenant's line last moved all that started was of others; before the job was ready, nothing counts.
      const sinceMove = totalCost - (totalCostAtMove.get(tenantId) ?? 0)
      const sinceReady = totalCost - (starts.findLast((start) => start.at <= readyAt)?.totalCost ?? 0)
      const before = Math.min(sinceMove, sinceReady)
      const others = [...weights].flatMap(([other, of]) => (other === tenantId ? [] : [{ weight: of }]))
      const bound = starvationBound({ cost, weight }, others)
      if (before > bound)
        violated(`${before} of others started before a ready job of ${tenantId}, at most ${bound} may`)
      totalCost += cost
      totalCostAtMove.set(tenantId, totalCost)
      starts.push({ at, totalCost })
    },
    /** Call when a job ends that waited: the bound holds for the first of a line, and behind a dearer one others go first for longer. */
    left(tenantId: string): void {
      totalCostAtMove.set(tenantId, totalCost)
    },
  }
}
