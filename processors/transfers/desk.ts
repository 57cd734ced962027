/**
 * Transfers in one tenure of an owner: when a tenant's ancestors are to be told, and what becomes of what was sent. All that
 * it knows is in the state, so that the next owner goes on where this one stopped.
 */
import { PlatformError } from '../../platform/errors.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { idFrom } from '../../schemas/ids.ts'
import { type EpochMicros, microsFromMs } from '../../schemas/units.ts'
import type { OwnerParts } from '../owner-parts.ts'
import type { Draft } from '../processor.ts'
import { ancestorsOf, decideForwarded, decideRollup } from './decide.ts'
import { forwarder } from './forwarder.ts'
import type { Transfers } from './state.ts'

/** What the owner decides by itself, and what follows from what. */
export type Move = { facts: Draft[]; causedBy: string; correlationId: string }

export type DeskParts = Pick<OwnerParts, 'codec' | 'clock' | 'random' | 'onFault'> & {
  log: Pick<OwnerParts['log'], 'append'>
  directory: Pick<OwnerParts['directory'], 'directory' | 'version'>
  options: Pick<OwnerParts['options'], 'rollupWaitMs'>
}

/** Tenants in one batch; the others go with the next. */
const rollupsPerBatchMax = 200

export function transferDesk(
  transfers: Transfers,
  parts: DeskParts,
  partition: number,
  ended: AbortSignal,
  onNews: () => void,
) {
  const { directory, options } = parts
  const waitMicros = microsFromMs(options.rollupWaitMs)
  const fault = (error: unknown, doing: string) => parts.onFault({ partition, error, isStopped: false, doing })
  const onFault = (error: unknown) => fault(error, 'forwarding transfers')
  const forward = forwarder({ ...parts, ended, onNews, onFault })
  for (const { onTheirWay } of transfers.senders.values()) for (const sent of onTheirWay) forward.send(sent)

  /** When the tenant that has waited longest has waited long enough. */
  function nextAt(): EpochMicros | undefined {
    const [first] = transfers.waiting.values()
    return first === undefined ? undefined : first + waitMicros
  }

  function rollup(tenantId: string, dueAt: EpochMicros): Move {
    const ancestors = ancestorsOf(directory.directory(), tenantId)
    if (!ancestors) throw new PlatformError('LOG_GAP', { partition, tenantId, problem: 'nobody registered the tenant' })
    const causedBy = idFrom('timer', 'rollup', tenantId, dueAt)
    const facts = decideRollup(transfers, ancestors, { tenantId, directoryVersion: directory.version() })
    return { facts, causedBy, correlationId: causedBy }
  }

  return {
    /** Something was forwarded, and no fact says so yet. */
    hasNews: forward.hasNews,
    underWay: forward.underWay,
    nextAt,
    /**
     * Each to be taken in before the next is asked for: it changes what is left to do. What was forwarded is told once, so all
     * of it; ancestors are told until `isFull`.
     */
    *moves(moment: () => EpochMicros, isFull: () => boolean): Generator<Move> {
      for (const sent of forward.takeNews()) {
        const { eventId: causedBy = '', correlationId = '' } = sent[0] ?? {}
        yield { facts: decideForwarded(transfers, sent), causedBy, correlationId }
      }
      for (let rollups = 0; rollups < rollupsPerBatchMax; rollups++) {
        const [[tenantId, since] = []] = transfers.waiting
        if (tenantId === undefined || since === undefined || since + waitMicros > moment() || isFull()) return
        yield rollup(tenantId, since + waitMicros)
      }
    },
    /** What has to happen once the fact is committed. */
    effectOf(fact: Fact): (() => void) | undefined {
      if (fact.type === 'TransferSent') return () => forward.send(fact)
      if (fact.type !== 'RequestRefused' || fact.requestType !== 'TransferArrived') return undefined
      const { tenantId, subject, reason } = fact
      const error = new PlatformError('LOG_GAP', { partition, tenantId, fromTenantId: subject, reason })
      return () => fault(error, 'taking a transfer')
    },
  }
}
