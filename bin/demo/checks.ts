/** What must hold after the story: the system's figures beside those that separate code derives from the events. */
import { decimalFromPico } from '../../schemas/units.ts'
import type { Fairness } from './fairness.ts'
import type { TenantFigures } from './figures.ts'
import { countBy, pico } from './figures.ts'
import type { Plan, PlannedTenant } from './plan.ts'
import type { RebuiltView, Replayed, Verified } from './proofs.ts'
import { naiveBayes, type Quality } from './quality.ts'
import type { Answer, Story } from './story.ts'
import type { ToldFigures } from './told.ts'

export type Check = {
  what: string
  /** What the system says. */
  system: string
  /** What it is held against, and whose word that is. */
  against: string
  by: 'events' | 'caps' | 'clients' | 'bound' | 'naive Bayes' | 'zero'
  isTrue: boolean
}

export type Evidence = {
  plan: Plan
  story: Story
  figures: { flood: TenantFigures; urgent: TenantFigures }
  told: ToldFigures
  verified: Verified
  fairness: Fairness
  replayed: Replayed[]
  rebuilt: RebuiltView[]
  quality: Quality
  /** Every held-out mail took part: only then the quality can be held against known figures. */
  isWhole: boolean
}

const ends = ['succeeded', 'failed', 'refused', 'cancelled'] as const

export function checksOf(evidence: Evidence): Check[] {
  const { plan, story, figures, verified, fairness, replayed, rebuilt, quality, isWhole } = evidence
  const { most, bound, isKept } = fairness.costBefore
  return [
    ...tenantChecks(plan.flood, figures.flood, story.answers.flood, verified),
    ...tenantChecks(plan.urgent, figures.urgent, story.answers.urgent, verified),
    ...toldChecks(evidence),
    atMost('cost started before a waiting urgent job, at most', most, bound, isKept),
    same(
      'calls of unknown outcome in the log',
      String(story.kill.indeterminate),
      String(fairness.indeterminate),
      'events',
    ),
    {
      what: 'calls under way when the service was killed',
      system: String(story.kill.running),
      against: 'at least 1',
      by: 'zero',
      isTrue: story.kill.running > 0,
    },
    same('what the verifier objects to', String(verified.problemCount), '0', 'zero'),
    same('differences found by replay', String(replayed.reduce((sum, one) => sum + one.deltaCount, 0)), '0', 'zero'),
    same(
      'views that differ after a rebuild from zero',
      String(rebuilt.filter((view) => !view.isEqual).length),
      '0',
      'zero',
    ),
    ...(isWhole ? qualityChecks(quality) : []),
  ]
}

function tenantChecks(
  planned: PlannedTenant,
  figures: TenantFigures,
  answers: readonly Answer[],
  verified: Verified,
): Check[] {
  const { tenantId } = figures
  const own = verified.tenants.find((tenant) => tenant.tenantId === tenantId)
  const counted = (counts: Record<string, number> | undefined, name: string) => String(counts?.[name] ?? 0)
  const answered = countBy(answers, ({ end }) => end.status)
  const ledger = own?.ledger.reduce((sum, { chargedPico }) => sum + BigInt(chargedPico), 0n) ?? 0n
  const paid = answers.reduce((sum, { end }) => sum + pico(end.charged ?? '0'), 0n)
  const rated = own?.ledger.reduce((sum, { jobs }) => sum + jobs, 0) ?? 0
  return [
    ...ends.map((status) =>
      same(`${tenantId}: ${status}`, counted(figures.jobs, status), counted(own?.jobs, status), 'events'),
    ),
    same(`${tenantId}: answers in hand`, String(answers.length), String(planned.jobs.length), 'clients'),
    same(
      `${tenantId}: refused, as clients heard`,
      counted(figures.jobs, 'refused'),
      counted(answered, 'refused'),
      'clients',
    ),
    same(
      `${tenantId}: refused, as its caps imply`,
      counted(figures.refusals, 'over_cap'),
      String(planned.refusalsExpected),
      'caps',
    ),
    same(`${tenantId}: jobs in the ledger`, String(figures.ledgerJobs), String(rated), 'events'),
    same(`${tenantId}: ledger`, decimalFromPico(figures.ledgerPico), decimalFromPico(ledger), 'events'),
    same(
      `${tenantId}: charged, as clients heard`,
      decimalFromPico(figures.usageChargedPico),
      decimalFromPico(paid),
      'clients',
    ),
    same(
      `${tenantId}: caps that still hold or were passed`,
      String(figures.caps.filter(({ held, isOver }) => held !== '0' || isOver).length),
      '0',
      'zero',
    ),
  ]
}

/** The partner sees no job of its clients, and the sums of them all. */
function toldChecks({ told, verified, plan }: Evidence): Check[] {
  const below = [plan.flood.id, plan.urgent.id]
  const ledgers = verified.tenants.flatMap(({ tenantId, ledger }) => (below.includes(tenantId) ? ledger : []))
  const charged = ledgers.reduce((sum, { chargedPico }) => sum + BigInt(chargedPico), 0n)
  const rated = ledgers.reduce((sum, { jobs }) => sum + jobs, 0)
  return [
    same(`${told.tenantId}: jobs below it, as it was told`, String(told.jobs), String(rated), 'events'),
    same(
      `${told.tenantId}: charged below it, as it was told`,
      decimalFromPico(told.chargedPico),
      decimalFromPico(charged),
      'events',
    ),
  ]
}

const qualityChecks = (quality: Quality): Check[] =>
  (['accuracy', 'precision', 'recall'] as const).map((name) => ({
    what: `${name} on ${quality.mails} held-out mails`,
    system: quality[name].toFixed(4),
    against: naiveBayes[name].toFixed(4),
    by: 'naive Bayes',
    isTrue: quality[name] > naiveBayes[name],
  }))

const same = (what: string, system: string, against: string, by: Check['by']): Check => ({
  what,
  system,
  against,
  by,
  isTrue: system === against,
})

const atMost = (what: string, value: number, bound: number, isTrue: boolean): Check => ({
  what,
  system: String(value),
  against: String(bound),
  by: 'bound',
  isTrue,
})
