/**
 * Carries transfers that are committed into the intakes of their receivers, at least once. What it holds is what the state
 * says is on its way, and nothing else; what it has brought there it tells, so that a fact can say so.
 */
import { type Clock, type Random, sleep } from '../../platform/clock.ts'
import type { IntakeRecord, Log } from '../../platform/log/log.ts'
import type { Codec } from '../../schemas/codec.ts'
import type { TransferArrived } from '../../schemas/events.generated.ts'
import type { Recorded } from '../processor.ts'

export type ForwarderParts = {
  log: Pick<Log, 'append'>
  codec: Codec
  clock: Clock
  random: Random
  /** The tenure is over: what is not forwarded by then is the next owner's. */
  ended: AbortSignal
  onNews(): void
  /** An append failed; it is tried again. */
  onFault(error: unknown): void
}

type Sent = Recorded<'TransferSent'>

/** Transfers in one append. */
const recordsMax = 500
/** Longest wait before the second try; doubles with each further one. */
const retryBaseMs = 50
const retryMsMax = 5_000

export function forwarder({ log, codec, clock, random, ended, onNews, onFault }: ForwarderParts) {
  const waiting: Sent[] = []
  let brought: Sent[] = []
  let isBusy = false

  async function carry(): Promise<void> {
    isBusy = true
    for (let failed = 0; waiting.length > 0 && !ended.aborted; ) {
      const batch = waiting.slice(0, recordsMax)
      try {
        await log.append(batch.map(toRecord))
        waiting.splice(0, batch.length)
        brought.push(...batch)
        failed = 0
        onNews()
      } catch (error) {
        onFault(error)
        await sleep(clock, 1 + random.fraction() * Math.min(retryMsMax, retryBaseMs * 2 ** failed), ended)
        failed += 1
      }
    }
    isBusy = false
  }

  function toRecord(sent: Sent): IntakeRecord {
    const { eventId, tenantId, toTenantId, occurredAt, actor, correlationId, directoryVersion } = sent
    const { traceparent, number, kind, rollup } = sent
    const arrived: TransferArrived = {
      type: 'TransferArrived',
      tenantId: toTenantId,
      requestId: eventId,
      requestedAt: occurredAt,
      actor,
      correlationId,
      directoryVersion,
      traceparent,
      fromTenantId: tenantId,
      number,
      kind,
      rollup,
    }
    return { key: toTenantId, value: codec.encode(arrived) }
  }

  return {
    /** Takes a transfer that is committed. */
    send(sent: Sent): void {
      waiting.push(sent)
      if (!isBusy) void carry()
    },
    hasNews: (): boolean => brought.length > 0,
    /** Transfers of which no fact says yet that the receiver's log has them. */
    underWay: (): number => waiting.length + brought.length,
    /** What the log has by now, by tenant; each is told once. */
    takeNews(): Sent[][] {
      const news = brought
      brought = []
      return [...Map.groupBy(news, ({ tenantId }) => tenantId).values()]
    },
  }
}
