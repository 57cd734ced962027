/** A tenant's ledger as of one fact, read beside the service that keeps it: neither behind that fact nor beyond it. */
import { type Clock, sleep } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import { ledger, noChargeKind } from '../projections/ledger/projection.ts'
import { type LedgerCursor, type LedgerLine, ledgerPage } from '../projections/ledger/queries.ts'
import { readPositions } from '../projections/positions.ts'

export type LedgerWish = {
  tenantId: string
  /** The tenant's. */
  partition: number
  /** YYYY-MM of the tenant's calendar. */
  period: string
  /** The last fact that counts; committed. */
  to: bigint
}

const pageRows = 1_000
const viewWaitMsDefault = 30_000
const lookEveryMs = 100

/**
 * The lines of the period that facts up to `to` have made, in order, without those at zero of jobs that were rated without
 * lines. Waits until the ledger has come that far, at most `viewWaitMs` (default 30 s), and throws beyond: it has nothing of
 * jobs whose lines are still to come.
 */
export async function* ledgerAsOf(
  { database, clock }: { database: Database; clock: Clock },
  { tenantId, partition, period, to }: LedgerWish,
  viewWaitMs = viewWaitMsDefault,
): AsyncGenerator<LedgerLine> {
  const giveUpAt = clock.nowMs() + viewWaitMs
  for (let seq = await shownUpTo(database, partition); seq < to; seq = await shownUpTo(database, partition)) {
    if (clock.nowMs() >= giveUpAt) throw new Error(behind({ partition, seq, to, viewWaitMs }))
    await sleep(clock, lookEveryMs)
  }
  let after: LedgerCursor | undefined
  for (;;) {
    const page = await database.asTenant(tenantId, (tx) =>
      ledgerPage(tx, tenantId, { billingPeriod: period, limit: pageRows, ...(after ? { after } : {}) }),
    )
    for (const line of page.items) {
      if (line.seq > to) return // In order of `seq`: all that follow are newer still.
      if (line.kind !== noChargeKind) yield line
    }
    if (!page.next) return
    after = page.next
  }
}

/** 0 for a ledger that nobody has begun yet. */
async function shownUpTo(database: Database, partition: number): Promise<bigint> {
  const positions = await database.asService((tx) => readPositions(tx, partition))
  return positions.find(({ projection }) => projection === ledger.name)?.cursor.seq ?? 0n
}

const behind = ({
  partition,
  seq,
  to,
  viewWaitMs,
}: {
  partition: number
  seq: bigint
  to: bigint
  viewWaitMs: number
}) =>
  `The ledger of partition ${partition} shows facts up to ${seq}, of ${to}, after a wait of ${viewWaitMs / 1_000} s: there is nothing to compare with yet. ` +
  'See that a service with the role `projections` is running, and run the command again; without --diff it reads the log alone.'
