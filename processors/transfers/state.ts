/**
 * What moves between tenants, on both sides: what the ancestors of a tenant have not been told yet, which transfers are on
 * their way, and how far a tenant has taken what others sent. A fold of facts without rules; `decide.ts` has the rules.
 */
import type { Fact, TransferSentRollupLine } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import type { EpochMicros } from '../../schemas/units.ts'
import type { Recorded } from '../processor.ts'

/** A line of a rollup that still grows; `day` is the number of UTC days since the epoch, because a job must cost little. */
export type GrowingLine = Omit<TransferSentRollupLine, 'day'> & { day: number }

export type Sender = {
  /** What was rated and not sent yet. */
  lines: GrowingLine[]
  /** Number of the last transfer to each receiver. */
  numbers: Map<string, bigint>
  /** On their way, at most one to a receiver: until the log has them, nothing more is sent. */
  onTheirWay: Recorded<'TransferSent'>[]
}

export type Transfers = {
  senders: Map<string, Sender>
  /** Tenants that have something to send and nothing on its way, and since when: who has waited longest comes first. */
  waiting: Map<string, EpochMicros>
  /** Receiver → sender → number of the last transfer taken. */
  taken: Map<string, Map<string, bigint>>
  /** The last usage, until the fact that rates it, which stands beside it. */
  metered: Recorded<'UsageMetered'> | null
}

export const emptyTransfers = (): Transfers => ({
  senders: new Map(),
  waiting: new Map(),
  taken: new Map(),
  metered: null,
})

const microsPerDay = 86_400_000_000n

/** Takes in one fact, in place. */
export function evolveTransfers(transfers: Transfers, fact: Fact): void {
  switch (fact.type) {
    case 'UsageMetered':
      transfers.metered = fact
      return
    case 'JobRated':
      addRated(transfers, fact)
      transfers.metered = null
      return
    case 'TransferSent':
      return send(transfers, fact)
    case 'TransferForwarded':
      return forwarded(transfers, fact)
    case 'TransferTaken': {
      const ofReceiver = transfers.taken.get(fact.tenantId) ?? new Map<string, bigint>()
      transfers.taken.set(fact.tenantId, ofReceiver.set(fact.fromTenantId, fact.number))
      return
    }
  }
}

/** Number of the last transfer from the sender that the receiver has taken; 0 before the first. */
export const lastTaken = ({ taken }: Transfers, tenantId: string, fromTenantId: string): bigint =>
  taken.get(tenantId)?.get(fromTenantId) ?? 0n

function addRated(transfers: Transfers, fact: Recorded<'JobRated'>): void {
  if (fact.tenantId === platformTenantId) return // Nobody is above it.
  const sender = senderOf(transfers, fact.tenantId)
  if (sender.lines.length === 0 && sender.onTheirWay.length === 0) transfers.waiting.set(fact.tenantId, fact.occurredAt)
  const line = lineFor(sender, fact)
  line.jobs += 1n
  if (fact.outcome !== 'unknown') line[fact.outcome] += 1n
  line.chargedPico += fact.chargedPico
  const { metered } = transfers
  if (metered === null || metered.eventId !== fact.usageEventId) return
  line.inputUncachedTokens += metered.inputUncachedTokens
  line.inputCacheReadTokens += metered.inputCacheReadTokens
  line.inputCacheWriteTokens += metered.inputCacheWriteTokens
  line.outputTokens += metered.outputTokens
  line.reasoningTokens += metered.reasoningTokens
}

function lineFor({ lines }: Sender, { occurredAt, billingPeriod, currency }: Recorded<'JobRated'>): GrowingLine {
  const day = Number(occurredAt / microsPerDay)
  // Nearly always there is one, and it is the last.
  const known = lines.findLast(
    (line) => line.day === day && line.billingPeriod === billingPeriod && line.currency === currency,
  )
  if (known) return known
  const begun: GrowingLine = {
    day,
    billingPeriod,
    currency,
    jobs: 0n,
    succeeded: 0n,
    failed: 0n,
    cancelled: 0n,
    inputUncachedTokens: 0n,
    inputCacheReadTokens: 0n,
    inputCacheWriteTokens: 0n,
    outputTokens: 0n,
    reasoningTokens: 0n,
    chargedPico: 0n,
  }
  lines.push(begun)
  return begun
}

/** Every ancestor is told the same in one decision, first lines first: the first of these facts takes them away, the others find them gone. */
function send(transfers: Transfers, fact: Recorded<'TransferSent'>): void {
  const { tenantId, toTenantId, number, rollup } = fact
  const sender = senderOf(transfers, tenantId)
  sender.numbers.set(toTenantId, number)
  sender.onTheirWay.push(fact)
  transfers.waiting.delete(tenantId)
  const [line, sent] = [sender.lines[0], rollup[0]]
  if (!line || !sent) return
  if (dayOf(line) === sent.day && line.billingPeriod === sent.billingPeriod && line.currency === sent.currency)
    sender.lines.splice(0, rollup.length)
}

function forwarded(
  { senders, waiting }: Transfers,
  { tenantId, transfers, occurredAt }: Recorded<'TransferForwarded'>,
) {
  const sender = senders.get(tenantId)
  if (!sender) return
  const isForwarded = (sent: Recorded<'TransferSent'>) =>
    transfers.some(({ toTenantId, number }) => toTenantId === sent.toTenantId && number === sent.number)
  sender.onTheirWay = sender.onTheirWay.filter((sent) => !isForwarded(sent))
  // From now on, not from when it was rated: who waits longest must come first.
  if (sender.onTheirWay.length === 0 && sender.lines.length > 0) waiting.set(tenantId, occurredAt)
}

/** YYYY-MM-DD. */
export const dayOf = ({ day }: GrowingLine): string => new Date(day * 86_400_000).toISOString().slice(0, 10)

function senderOf({ senders }: Transfers, tenantId: string): Sender {
  const known = senders.get(tenantId)
  if (known) return known
  const made: Sender = { lines: [], numbers: new Map(), onTheirWay: [] }
  senders.set(tenantId, made)
  return made
}
