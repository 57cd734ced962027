/** How the flood and the urgent jobs shared the places, from the facts alone. */
import { starvationBound } from '../../processors/index.ts'
import type { Fact } from '../../schemas/events.generated.ts'

export type Fairness = {
  /** From submission to the start of the first attempt, per job, in milliseconds, shortest first. */
  waits: Record<string, number[]>
  /**
   * Cost of other tenants' jobs that started while a job was the first of its tenant's line: the worst case seen of the
   * tenant in question, and what the scheduler promises at most.
   */
  costBefore: { most: number; bound: number; isKept: boolean }
  /** Calls whose outcome nobody knows because the owner died during them. */
  indeterminate: number
}

/** Takes the facts of one partition in order. `tenantId` is the tenant whose jobs are held against the bound. */
export function fairnessOf(facts: readonly Fact[], tenantId: string): Fairness {
  const submittedAt = new Map<string, bigint>()
  const admitted = new Map<string, { cost: number; weight: number; othersBefore: number }>()
  const weights = new Map<string, number>()
  const waits: Fairness['waits'] = {}
  const costBefore = { most: 0, bound: 0, isKept: true }
  let indeterminate = 0
  let othersStarted = 0
  let othersAtLastStart = 0
  for (const fact of facts) {
    if (fact.type === 'JobSubmitted') submittedAt.set(fact.jobId, fact.occurredAt)
    if (fact.type === 'JobAdmitted') {
      weights.set(fact.tenantId, Number(fact.schedulingWeight))
      admitted.set(fact.jobId, {
        cost: Number(fact.schedulingCost),
        weight: Number(fact.schedulingWeight),
        othersBefore: othersStarted,
      })
    }
    if (fact.type === 'AttemptFailed' && fact.indeterminate) indeterminate += 1
    if (fact.type !== 'AttemptStarted') continue
    const job = admitted.get(fact.jobId)
    if (!job) continue
    if (fact.attemptNo === 1) {
      const waitedMs = Number(fact.occurredAt - (submittedAt.get(fact.jobId) ?? fact.occurredAt)) / 1_000
      const ofTenant = waits[fact.tenantId] ?? []
      ofTenant.push(waitedMs)
      waits[fact.tenantId] = ofTenant
    }
    if (fact.tenantId !== tenantId) {
      othersStarted += job.cost
      continue
    }
    // The first of the line since it was admitted, or since the one before it started.
    const before = othersStarted - Math.max(job.othersBefore, othersAtLastStart)
    const others = [...weights].filter(([other]) => other !== tenantId).map(([, weight]) => ({ weight }))
    const bound = starvationBound(job, others)
    othersAtLastStart = othersStarted
    if (before > bound) costBefore.isKept = false
    if (before >= costBefore.most) Object.assign(costBefore, { most: before, bound })
  }
  for (const list of Object.values(waits)) list.sort((a, b) => a - b)
  return { waits, costBefore, indeterminate }
}

/** `share` of 0.5 is the median, 1 the longest; of an ascending list. */
export const quantile = (ascending: readonly number[], share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.max(0, Math.ceil(ascending.length * share) - 1))] ?? 0
