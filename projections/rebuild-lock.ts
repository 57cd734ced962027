/**
 * One rebuild at a time, in whatever process: two of one view would drop each other's table. The lock is a row and not a
 * lock of a session, because on the embedded default all connections share one, and because a server can take hours to
 * find out that the machine of another is gone. Whoever has it counts its beats; when these stand still, it is taken over.
 */
import { type Clock, sleep } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import { serviceRole } from '../platform/postgres/isolation.ts'
import type { Migration } from '../platform/postgres/migrate.ts'
import { notDurable } from './group-writer.ts'

export const rebuildLockMigration: Migration = {
  name: 'projections-0002-rebuild-lock',
  sql: `CREATE TABLE projection_rebuild (
    -- There is one row at most.
    id boolean PRIMARY KEY CHECK (id),
    -- Which rebuild has the lock, or had it last: they are counted.
    holder bigint NOT NULL,
    -- Goes up while the holder lives; null when nobody has the lock.
    beat bigint
  );
  GRANT SELECT, INSERT, UPDATE ON projection_rebuild TO ${serviceRole};`,
}

export type LockParts = {
  database: Database
  clock: Clock
  /** Called once, when somebody else rebuilds and has to be waited for. */
  onWait?: () => void
}

const beatEveryMs = 1_000
/** Looks in a row, `beatEveryMs` apart, that find the same beat before its holder counts as dead: one look alone may be faster than a busy database takes a beat. */
const stillMax = 15

/**
 * Calls `run` when nobody else rebuilds, however long that takes. A holder that died is waited for some 15 s. One that
 * was only away for so long finds its positions moved by the next one, and fails.
 */
export async function withRebuildLock<T>(parts: LockParts, run: () => Promise<T>): Promise<T> {
  const holder = await take(parts)
  const stopBeating = keepBeating(parts, holder)
  try {
    return await run()
  } finally {
    await stopBeating()
    // A database that is away leaves the lock behind, as a process does that dies.
    await setBeat(parts.database, holder, 'NULL').catch(() => undefined)
  }
}

type Beat = { holder: bigint; beat: bigint | null }

/** Answers the number of this holder. Ends with the rebuild of the one before, or after its last beat. */
async function take({ database, clock, onWait }: LockParts): Promise<bigint> {
  let seen: Beat | undefined
  for (let still = 0; ; await sleep(clock, beatEveryMs)) {
    const { taken, other } = await tryTake(database, still >= stillMax ? seen : undefined)
    if (taken !== undefined) return taken
    if (!seen) onWait?.()
    still = seen && other?.holder === seen.holder && other.beat === seen.beat ? still + 1 : 0
    seen = other
  }
}

/** `dead`: as the row stands when it may be taken over. */
function tryTake(database: Database, dead: Beat | undefined): Promise<{ taken?: bigint; other?: Beat }> {
  return database.asService(async (tx) => {
    const taken = await tx.query<{ holder: bigint }>(
      `INSERT INTO projection_rebuild AS r (id, holder, beat) VALUES (true, 1, 0)
       ON CONFLICT (id) DO UPDATE SET holder = r.holder + 1, beat = 0
       WHERE r.beat IS NULL OR (r.holder = $1 AND r.beat = $2) RETURNING holder`,
      [dead?.holder ?? null, dead?.beat ?? null],
    )
    const [mine] = taken.rows
    if (mine) return { taken: mine.holder }
    const [other] = (await tx.query<Beat>('SELECT holder, beat FROM projection_rebuild')).rows
    return { ...(other && { other }) }
  })
}

/** What it returns ends it, and resolves when no beat is under way any more. */
function keepBeating({ database, clock }: LockParts, holder: bigint): () => Promise<void> {
  let isStopped = false
  let beating = Promise.resolve()
  let cancel = clock.after(beatEveryMs, tick)

  function tick(): void {
    beating = setBeat(database, holder, 'beat + 1')
      .catch(() => undefined) // The next one makes up for it.
      .then(() => {
        if (!isStopped) cancel = clock.after(beatEveryMs, tick)
      })
  }

  return async () => {
    isStopped = true
    cancel()
    await beating
  }
}

/** Changes nothing when another has taken over. */
const setBeat = (database: Database, holder: bigint, beat: 'beat + 1' | 'NULL'): Promise<void> =>
  database.asService(
    async (tx) =>
      void (await tx.last.query(`UPDATE projection_rebuild SET beat = ${beat} WHERE holder = $1`, [holder])),
    notDurable,
  )
