/**
 * Lets content go when its time has come: carries out erasures that are in the log, and destroys the day keys of content
 * that is older than its tenant keeps it. What it does is safe to repeat, so any number of processes may do it.
 */
import type { Clock } from '../platform/clock.ts'
import { sleep } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import { contentFreshMs } from '../platform/vault/fresh-content.ts'
import type { Destroyed, StoredPayloadVault } from '../platform/vault/payload-vault.ts'
import { type Caller, type RequestAppender, reportErased } from '../producers/index.ts'
import { contentDaysOfMany } from '../projections/content-retention/queries.ts'
import { openErasures } from '../projections/erasure-list/queries.ts'

export type KeeperParts = {
  database: Database
  vault: Pick<StoredPayloadVault, 'destroyTenant' | 'destroyDayKeys' | 'oldestDays'>
  appender: RequestAppender
  clock: Clock
  /** Where a tenant has not said so. */
  contentDaysDefault: number
  onFault(error: unknown): void
  /** Between two looks for erasures; default 2 s. */
  erasureEveryMs?: number
  /** Between two looks for old content; default 10 minutes. */
  retentionEveryMs?: number
}

export type Keeper = {
  /** Looks once, now. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

const erasureEveryMsDefault = 2_000
const retentionEveryMsDefault = 600_000
const erasuresAtOnceMax = 100
const tenantsAtOnceMax = 500
/** Erasures carried out that are remembered here until the view shows them as done. */
const reportedMax = 10_000
const dayMs = 86_400_000

export function startKeeper(parts: KeeperParts): Keeper {
  const { database, vault, appender, clock, contentDaysDefault, onFault } = parts
  const { erasureEveryMs = erasureEveryMsDefault, retentionEveryMs = retentionEveryMsDefault } = parts
  const stopping = new AbortController()
  let lookForOldAtMs = 0
  // A view that lags shows them as open still.
  const reported = new Set<string>()
  const running = run()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await goingOn(erase())
      if (clock.nowMs() >= lookForOldAtMs) {
        await goingOn(letGo())
        lookForOldAtMs = clock.nowMs() + retentionEveryMs
      }
      await sleep(clock, erasureEveryMs, stopping.signal)
    }
  }

  /** What fails is told, looked at again next time, and keeps nothing else waiting. */
  async function goingOn(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      if (!stopping.signal.aborted) onFault(error)
    })
  }

  async function erase(): Promise<void> {
    const open = await database.asService((tx) => openErasures(tx, erasuresAtOnceMax))
    const reports: Promise<void>[] = []
    for (const { tenantId, erasureId } of open) {
      if (stopping.signal.aborted) break
      if (reported.has(erasureId)) continue
      await goingOn(
        vault.destroyTenant({ tenantId, erasureId }, stopping.signal).then((destroyed) => {
          reports.push(goingOn(report({ tenantId, erasureId, ...destroyed })))
        }),
      )
    }
    await Promise.all(reports)
  }

  async function report(erased: { tenantId: string; erasureId: string } & Destroyed): Promise<void> {
    const { tenantId, erasureId, keys, payloads } = erased
    // Until then a process may hand on what it stored before. Once an erasure is called done, nobody does.
    await sleep(clock, contentFreshMs)
    const caller: Caller = { actor: 'keeper', correlationId: erasureId, traceparent: null }
    await reportErased(appender, caller, { tenantId, erasureId, keys: BigInt(keys), payloads: BigInt(payloads) })
    reported.add(erasureId)
    for (const oldest of reported) if (reported.size > reportedMax) reported.delete(oldest)
  }

  async function letGo(): Promise<void> {
    for (let after: string | undefined; ; ) {
      const oldest = await vault.oldestDays(tenantsAtOnceMax, after)
      const ids = oldest.map(({ tenantId }) => tenantId)
      const days = await database.asService((tx) => contentDaysOfMany(tx, ids))
      for (const { tenantId, day } of oldest) {
        if (stopping.signal.aborted) return
        const beforeDay = dayOf(clock.nowMs() - (days.get(tenantId)?.contentDays ?? contentDaysDefault) * dayMs)
        if (day < beforeDay) await goingOn(vault.destroyDayKeys(tenantId, beforeDay, stopping.signal).then(() => {}))
      }
      after = ids.at(-1)
      if (ids.length < tenantsAtOnceMax) return
    }
  }

  return {
    async sweep() {
      await erase()
      await letGo()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
