/**
 * What tenants tell their ancestors, added up again: what was sent from what was rated, what was taken from what was sent.
 * Sees every partition; facts of one come in order.
 */
import type { Buckets, Event, Header, JobRated, RollupLine, TransferSent, TransferTaken } from './events.ts'
import type { Findings } from './findings.ts'
import type { OwnDirectory } from './own-directory.ts'

const counted = [
  'jobs',
  'succeeded',
  'failed',
  'cancelled',
  'inputUncachedTokens',
  'inputCacheReadTokens',
  'inputCacheWriteTokens',
  'outputTokens',
  'reasoningTokens',
  'chargedPico',
] as const
type Counts = Record<(typeof counted)[number], bigint>
/** By day, billing period and currency. */
type Sums = Map<string, Counts>

/** From one tenant to one above it. */
type Pair = {
  sent: Map<bigint, string>
  sentSums: Sums
  forwarded: bigint
  taken: Map<bigint, string>
  takenSums: Sums
}

const tenantsDeepMax = 10

export class TransferCheck {
  readonly #directory: OwnDirectory
  readonly #findings: Findings
  readonly #rated = new Map<string, Sums>()
  readonly #usage = new Map<string, Buckets>()
  readonly #pairs = new Map<string, Map<string, Pair>>()

  constructor(directory: OwnDirectory, findings: Findings) {
    this.#directory = directory
    this.#findings = findings
  }

  take(event: Event): void {
    switch (event.type) {
      case 'UsageMetered':
        this.#usage.set(event.eventId, event)
        return
      case 'JobRated':
        return this.#takeRated(event)
      case 'TransferSent':
        return this.#takeSent(event)
      case 'TransferForwarded':
        for (const { toTenantId, number } of event.transfers) {
          const pair = this.#pair(event.tenantId, toTenantId)
          if (!pair.sent.has(number)) this.#complain(event, `forwards ${number} to ${toTenantId}, which was not sent`)
          if (number !== pair.forwarded + 1n)
            this.#complain(event, `forwards ${number} to ${toTenantId} after ${pair.forwarded}`)
          pair.forwarded = number
        }
        return
      case 'TransferTaken':
        return this.#takeTaken(event)
    }
  }

  /** What was rated has reached every ancestor, and every sender knows it. */
  isAtRest(): boolean {
    return this.#unrest().length === 0
  }

  /** Call after the last event. `isAtRest`: nothing was under way any more, so that all of it must have arrived. */
  finish(isAtRest: boolean): void {
    for (const [tenantId, receivers] of this.#pairs) {
      for (const [toTenantId, { sent, taken }] of receivers) {
        const last = BigInt(sent.size)
        for (const [number, content] of taken) {
          // Of a log that goes on, the sender's part may have been read before the receiver's.
          if (number > last && !isAtRest) continue
          if (sent.get(number) !== content)
            this.#say(toTenantId, `took from ${tenantId} as ${number} what was not sent so`)
        }
      }
    }
    if (isAtRest) for (const { tenantId, says } of this.#unrest()) this.#say(tenantId, says)
  }

  #unrest(): { tenantId: string; says: string }[] {
    const found: { tenantId: string; says: string }[] = []
    for (const [tenantId, rated] of this.#rated) {
      for (const above of this.#above(tenantId)) {
        const { takenSums, sent, forwarded } = this.#pair(tenantId, above)
        const says = difference(rated, takenSums)
        if (says) found.push({ tenantId: above, says: `was told by ${tenantId} of ${says}` })
        if (forwarded !== BigInt(sent.size))
          found.push({ tenantId, says: `has sent ${sent.size} to ${above} and forwarded ${forwarded}` })
      }
    }
    return found
  }

  #takeRated(event: JobRated & Header): void {
    const { tenantId, occurredAt, billingPeriod, currency, outcome, chargedPico } = event
    if (tenantId === 'platform') return
    const usage = event.usageEventId === null ? undefined : this.#usage.get(event.usageEventId)
    if (event.usageEventId !== null) this.#usage.delete(event.usageEventId)
    const day = new Date(Number(occurredAt / 1_000n)).toISOString().slice(0, 10)
    const one = { day, billingPeriod, currency, jobs: 1n, succeeded: 0n, failed: 0n, cancelled: 0n, chargedPico }
    const sums = this.#rated.get(tenantId) ?? new Map<string, Counts>()
    this.#rated.set(tenantId, sums)
    add(sums, { ...one, ...(usage ?? noUsage), [outcome]: 1n })
  }

  #takeSent(event: TransferSent & Header): void {
    const { tenantId, toTenantId, number, rollup } = event
    if (!this.#above(tenantId).includes(toTenantId))
      this.#complain(event, `goes to ${toTenantId}, which is not above it`)
    const pair = this.#pair(tenantId, toTenantId)
    if (number !== BigInt(pair.sent.size) + 1n) this.#complain(event, `has number ${number} after ${pair.sent.size}`)
    if (pair.forwarded !== BigInt(pair.sent.size)) this.#complain(event, `is sent while another is on its way`)
    pair.sent.set(number, contentOf(rollup))
    for (const line of rollup) add(pair.sentSums, line)
    const rated = this.#rated.get(tenantId)
    for (const [key, sent] of pair.sentSums)
      for (const name of counted)
        if (sent[name] > (rated?.get(key)?.[name] ?? 0n))
          this.#complain(event, `says ${sent[name]} ${name} of ${key} when ${rated?.get(key)?.[name] ?? 0n} were rated`)
  }

  #takeTaken(event: TransferTaken & Header): void {
    const { tenantId, fromTenantId, number, rollup } = event
    const pair = this.#pair(fromTenantId, tenantId)
    if (number !== BigInt(pair.taken.size) + 1n)
      this.#complain(event, `takes ${number} from ${fromTenantId} after ${pair.taken.size}`)
    pair.taken.set(number, contentOf(rollup))
    for (const line of rollup) add(pair.takenSums, line)
  }

  #above(tenantId: string): string[] {
    const found: string[] = []
    for (let at = tenantId; at !== 'platform' && found.length < tenantsDeepMax; ) {
      at = this.#directory.tenants.get(at)?.parentId ?? 'platform'
      found.push(at)
    }
    return found
  }

  #pair(tenantId: string, toTenantId: string): Pair {
    const receivers = this.#pairs.get(tenantId) ?? new Map<string, Pair>()
    this.#pairs.set(tenantId, receivers)
    const known = receivers.get(toTenantId)
    if (known) return known
    const made: Pair = {
      sent: new Map(),
      sentSums: new Map(),
      forwarded: 0n,
      taken: new Map(),
      takenSums: new Map(),
    }
    receivers.set(toTenantId, made)
    return made
  }

  #complain({ type, tenantId, seq }: Event, says: string): void {
    this.#findings.add({ check: 'transfer', tenantId, seq, says: `${type} ${says}` })
  }

  #say(tenantId: string, says: string): void {
    this.#findings.add({ check: 'transfer', tenantId, says: `${tenantId} ${says}` })
  }
}

const noUsage: Buckets = {
  inputUncachedTokens: 0n,
  inputCacheReadTokens: 0n,
  inputCacheWriteTokens: 0n,
  outputTokens: 0n,
  reasoningTokens: 0n,
}

function add(sums: Sums, line: Counts & Pick<RollupLine, 'day' | 'billingPeriod' | 'currency'>): void {
  const key = `${line.day} ${line.billingPeriod} ${line.currency}`
  const known = sums.get(key)
  const entries = counted.map((name) => [name, (known?.[name] ?? 0n) + line[name]] as const)
  sums.set(key, Object.fromEntries(entries) as Counts)
}

function difference(wanted: Sums, found: Sums): string | undefined {
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    for (const name of counted) {
      const [rated, told] = [wanted.get(key)?.[name] ?? 0n, found.get(key)?.[name] ?? 0n]
      if (rated !== told) return `${told} ${name} of ${key}, not ${rated}`
    }
  }
  return undefined
}

const contentOf = (rollup: readonly RollupLine[]): string =>
  JSON.stringify(
    rollup.map((line) => [line.day, line.billingPeriod, line.currency, ...counted.map((name) => String(line[name]))]),
  )
