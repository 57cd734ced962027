/** A log as a build wrote it, in a file: its records with the schemas they were written under, and what they came to. */
import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { z } from 'zod'
import { emptyPartitionState, evolve, type PartitionState } from '../../processors/partition-state.ts'
import { allProjections } from '../../projections/index.ts'
import { memoryProjections } from '../../projections/memory-runner.ts'
import { type Codec, codecFor, type EventName } from '../../schemas/codec.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { eventNames, readOwnSchemas } from '../../schemas/own-schemas.ts'

/** What a later build may not see otherwise. */
const outcomeForm = z.strictObject({
  /** By tenant. */
  jobs: z.record(z.string(), z.record(z.string(), z.int())),
  /** Tenant, month and currency → pico-units. */
  ledger: z.record(z.string(), z.string()),
  /** Tenant, cap and period → settled and held. */
  standings: z.record(z.string(), z.tuple([z.string(), z.string()])),
  /** By tenant: tokens that were not revoked. */
  tokens: z.record(z.string(), z.int()),
})
export type HistoryOutcome = z.infer<typeof outcomeForm>

const historyForm = z.strictObject({
  madeBy: z.string(),
  /** By the id that stands in the records. */
  schemas: z.record(z.string(), z.strictObject({ name: z.enum(eventNames), schema: z.string() })),
  /** One list per partition, in order of `seq`: records in Confluent wire format, as base64. */
  partitions: z.array(z.array(z.string())),
  outcome: outcomeForm,
})
export type History = z.infer<typeof historyForm>

export const readHistory = (path: string): History =>
  historyForm.parse(JSON.parse(gunzipSync(readFileSync(path)).toString('utf8')))
export const writeHistory = (path: string, history: History): void =>
  writeFileSync(path, gzipSync(JSON.stringify(history), { level: 9 }))

/** Reads a history's records into this build's events. */
export function historyCodec({ schemas }: Pick<History, 'schemas'>): Codec {
  const registry = {
    idOf: (name: EventName): number => {
      throw new Error(`Nothing writes ${name} into a history.`)
    },
    schemaOf: (id: number) => schemas[id],
  }
  return codecFor(registry, readOwnSchemas())
}

export function factsOf(history: History): Fact[][] {
  const codec = historyCodec(history)
  return history.partitions.map((records) => records.map((text) => codec.decode(Buffer.from(text, 'base64')) as Fact))
}

/** What this build makes of the facts, with its owner's state and its views. */
export function outcomeOf(partitions: readonly (readonly Fact[])[]): HistoryOutcome {
  const outcome: HistoryOutcome = { jobs: {}, ledger: {}, standings: {}, tokens: {} }
  for (const facts of partitions) {
    const views = memoryProjections(allProjections)
    views.apply(facts)
    for (const { tenant_id, status } of views.rows('job-list')) {
      const jobs = outcome.jobs[String(tenant_id)] ?? {}
      outcome.jobs[String(tenant_id)] = { ...jobs, [String(status)]: (jobs[String(status)] ?? 0) + 1 }
    }
    for (const { tenant_id, billing_period, currency, amount_pico } of views.rows('ledger')) {
      const key = [tenant_id, billing_period, currency].join(' ')
      outcome.ledger[key] = String(BigInt(outcome.ledger[key] ?? 0) + BigInt(String(amount_pico)))
    }
    for (const { tenant_id, revoked_at } of views.rows('token-list'))
      outcome.tokens[String(tenant_id)] = (outcome.tokens[String(tenant_id)] ?? 0) + (revoked_at === null ? 1 : 0)
    for (const [tenantId, { caps }] of stateOf(facts).admission.tenants) {
      for (const [capId, { standings }] of caps) {
        for (const [start, { settled, held }] of standings)
          outcome.standings[`${tenantId} ${capId} ${start}`] = [String(settled), String(held)]
      }
    }
  }
  return outcome
}

export function stateOf(facts: readonly Fact[]): PartitionState {
  const state = emptyPartitionState()
  for (const fact of facts) evolve(state, fact)
  return state
}

const wanted = [
  'JobSucceeded',
  'JobFailed',
  'JobCancelled',
  'JobRefused',
  'AttemptFailed',
  'HoldExceeded',
  'CapRemoved',
]

/** What of the things that a history is to have does not happen in it. */
export function lackingIn(facts: readonly Fact[]): string[] {
  const has = new Set<string>(facts.map(({ type }) => type))
  const kinds = new Set(facts.flatMap((fact) => (fact.type === 'JobRated' ? fact.lines.map(({ kind }) => kind) : [])))
  const isCredited = kinds.has('max_charge_credit')
  return [...wanted.filter((type) => !has.has(type)), ...(isCredited ? [] : ['max_charge_credit'])]
}
