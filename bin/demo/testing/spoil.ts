/** For tests of the verifier: ways to spoil a right history. */
import { expect, test } from 'vitest'
import type { Fact, FactType, JobRated } from '../../../schemas/events.generated.ts'
import type { Check } from '../verify/findings.ts'
import type { PlacedFact } from './sample-events.ts'
import { sampleHistory, verify } from './sample-history.ts'

export function find<Type extends FactType>(
  facts: PlacedFact[],
  type: Type,
  id: string,
): Extract<Fact, { type: Type }> {
  const found = facts.map(({ fact }) => fact).find((fact) => fact.type === type && idOf(fact) === id)
  if (!found) throw new Error(`The sample has no ${type} of ${id}`)
  return found as Extract<Fact, { type: Type }>
}

const idOf = (fact: Fact): string =>
  'jobId' in fact
    ? fact.jobId
    : 'capId' in fact
      ? fact.capId
      : fact.type === 'TenantRegistered'
        ? fact.registeredTenantId
        : fact.type

export function rename(facts: PlacedFact[], jobId: string, newId: string): void {
  for (const { fact } of facts) if ('jobId' in fact && fact.jobId === jobId) fact.jobId = newId
}

export function drop(facts: PlacedFact[], type: FactType, id: string): void {
  const fact = find(facts, type, id)
  facts.splice(
    facts.findIndex((placed) => placed.fact === fact),
    1,
  )
}

export function changed<T>(value: T | undefined, change: (value: T) => void): void {
  if (value === undefined) throw new Error('The sample has no such part')
  change(value)
}

/** Charges other lines, and lets sum and money settlements follow: consistent in itself, as a bug in rating would be. */
export function recharge(rated: JobRated, change: (lines: JobRated['lines']) => JobRated['lines']): void {
  rated.lines = change(rated.lines.map((line) => ({ ...line })))
  for (const line of rated.lines) line.amountPico = line.quantity * line.pricePico
  rated.chargedPico = rated.lines.reduce((sum, line) => sum + line.amountPico, 0n)
  for (const settlement of rated.settlements) if (settlement.metric === 'money') settlement.settled = rated.chargedPico
}

export const lineOf = (kind: 'request' | 'output', quantity: bigint, pricePico: bigint) => ({
  lineId: `line-${kind}`,
  kind,
  quantity,
  pricePico,
  amountPico: quantity * pricePico,
})

export type Planted = [bug: string, check: Check, says: RegExp, plant: (facts: PlacedFact[]) => void]
export const lastTime = (facts: PlacedFact[]): bigint => facts.at(-1)?.fact.occurredAt ?? 0n
/** One field that says something else than the rest of the history. */
export function tampered<Type extends FactType>(
  type: Type,
  id: string,
  field: keyof Extract<Fact, { type: Type }> & string,
  value: Extract<Fact, { type: Type }>[typeof field],
  check: Check,
  says: RegExp,
): Planted {
  return [
    `another ${field} in ${type} of ${id}`,
    check,
    says,
    (facts) => Object.assign(find(facts, type, id), { [field]: value }),
  ]
}

/** The same inside the hold of a cap, the refusal at a cap, or a settlement. */
export function tamperedPart(
  what: string,
  part: (facts: PlacedFact[]) => object | null | undefined,
  change: object,
  check: Check,
  says: RegExp,
): Planted {
  return [
    `another ${Object.keys(change).join()} in ${what}`,
    check,
    says,
    (facts) => changed(part(facts) ?? undefined, (found) => Object.assign(found, change)),
  ]
}

export const holdOf = (id: string, index: number) => (facts: PlacedFact[]) => find(facts, 'JobAdmitted', id).caps[index]
export const refusalOf = (id: string) => (facts: PlacedFact[]) => find(facts, 'JobRefused', id).cap

/** One test per planted bug: it must be found by the check that is named, and said in these words. */
export function testCaught(planted: readonly Planted[]): void {
  test.for(planted)('%s is caught', async ([, check, says, plant]) => {
    const facts = sampleHistory()
    plant(facts)
    const { problems } = await verify(facts)
    const found = problems.filter((problem) => problem.check === check).map((problem) => problem.says)
    expect(found.join('\n')).toMatch(says)
  })
}
