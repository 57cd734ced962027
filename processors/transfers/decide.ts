/** When a tenant tells its ancestors what it used, and what a receiver takes of what arrives. Pure. */
import { refusal } from '../directory/decide.ts'
import type { Directory } from '../directory/state.ts'
import type { Draft, Recorded, Requested } from '../processor.ts'
import { dayOf, lastTaken, type Transfers } from './state.ts'

/** Lines of one transfer, so that it fits into a record however long a tenant was not heard; the rest goes with the next. */
export const linesPerTransferMax = 1_000

/** From the parent up to the platform, each of a level above the one before; undefined for a tenant nobody registered. */
export function ancestorsOf({ tenants }: Directory, tenantId: string): string[] | undefined {
  const found: string[] = []
  for (let [id, entry] = [tenantId, tenants.get(tenantId)]; ; ) {
    if (!entry) return undefined
    if (entry.parentId === id) return found // The platform.
    id = entry.parentId
    entry = tenants.get(id)
    found.push(id)
  }
}

/** What the tenant has not told yet, to every ancestor. Nothing while an earlier transfer is on its way. */
export function decideRollup(
  { senders }: Transfers,
  ancestors: readonly string[],
  { tenantId, directoryVersion }: { tenantId: string; directoryVersion: bigint },
): Draft[] {
  const sender = senders.get(tenantId)
  if (!sender || sender.lines.length === 0 || sender.onTheirWay.length > 0) return []
  const rollup = sender.lines.slice(0, linesPerTransferMax).map((line) => ({ ...line, day: dayOf(line) }))
  return ancestors.map((toTenantId) => ({
    type: 'TransferSent',
    tenantId,
    toTenantId,
    number: (sender.numbers.get(toTenantId) ?? 0n) + 1n,
    kind: 'rollup',
    directoryVersion,
    rollup,
  }))
}

/** What the log has acknowledged, of one tenant, as far as the state does not know it yet. */
export function decideForwarded({ senders }: Transfers, sent: readonly Recorded<'TransferSent'>[]): Draft[] {
  const known = sent.filter(({ tenantId, eventId }) =>
    senders.get(tenantId)?.onTheirWay.some((one) => one.eventId === eventId),
  )
  const [first] = known
  if (!first) return []
  const transfers = known.map(({ toTenantId, number }) => ({ toTenantId, number }))
  return [{ type: 'TransferForwarded', tenantId: first.tenantId, transfers }]
}

/**
 * Takes the transfer whose turn it is. One that was taken before gets nothing, however long ago that was: numbers have no
 * end. One that comes too early is refused, since what is missing must be in the log and is not: nothing that follows is
 * taken until it is, and every refusal says so.
 */
export function decideTransferArrived(
  request: Requested<'TransferArrived'>,
  transfers: Transfers,
  directory: Directory,
): Draft[] {
  const { tenantId, fromTenantId, number, kind, rollup } = request
  const refuse = refusal(request, fromTenantId)
  if (!directory.tenants.has(tenantId)) return refuse('tenant_unknown')
  if (!ancestorsOf(directory, fromTenantId)?.includes(tenantId)) return refuse('sender_not_below')
  const last = lastTaken(transfers, tenantId, fromTenantId)
  if (number <= last) return []
  if (number > last + 1n) return refuse('number_gap')
  return [{ type: 'TransferTaken', tenantId, fromTenantId, number, kind, rollup }]
}
