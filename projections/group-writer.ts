/**
 * Writes batches of several partitions in one transaction: what comes while one is under way goes together in the next, so
 * that under load a transaction, its positions and its statements are paid once for all partitions and not by each.
 */
import { isFailure } from '../platform/errors.ts'
import type { Database, ServiceOptions, Tx } from '../platform/postgres/database.ts'
import { isUnmet } from '../platform/postgres/demand.ts'
import type { FactOps, Rows } from './fold-rows.ts'
import { movePositions, movePositionsOrFail } from './positions.ts'
import type { Projection } from './projection.ts'
import { rememberedRows } from './remembered-rows.ts'
import { planOps, type Recall } from './tables.ts'
import type { ViewBatch } from './view-batch.ts'

/** What a crash of the server takes, it takes with the position, and the log is read again from there. */
export const notDurable: ServiceOptions = { isDurable: false }

/** Rows of each view that need not be read before they are written again. */
const rememberedRowsMax = 1_000

/** Rows as they stand now that they are written, with those of the partitions that were written together. */
export type WrittenRows = ReadonlyMap<Projection, Rows>

/**
 * Resolves when the batch is committed with its positions, or with nothing, and nothing is written, when somebody else has
 * moved one of them. Rejects with what its own rows cause, never with what those of another partition do.
 */
export type GroupWriter = (batch: ViewBatch) => Promise<WrittenRows | undefined>

/** `factsMax`: facts in one transaction of several; a batch of more than half of it goes alone and at once. */
export function groupWriter(database: Database, factsMax: number): GroupWriter {
  type Waiting = {
    batch: ViewBatch
    resolve: (rows: WrittenRows | undefined) => void
    reject: (error: unknown) => void
  }
  const waiting: Waiting[] = []
  let isWriting = false

  const remembered = rememberedRows(rememberedRowsMax)

  /** What is remembered, and that a row begins, is no more than a guess until the database has taken it: where it does not, nothing is written, and all is read. */
  async function write(batches: readonly ViewBatch[]): Promise<WrittenRows> {
    for (const batch of batches) remembered.check(batch)
    const written = await writeWith(batches, remembered.recall).catch((error: unknown) => {
      for (const batch of batches) remembered.forget(batch)
      if (!isFactsFault(error) || error instanceof PositionMovedError) throw error
      return writeWith(batches)
    })
    for (const batch of batches) remembered.remember(batch, written)
    return written
  }

  async function writeWith(batches: readonly ViewBatch[], recall?: Recall): Promise<WrittenRows> {
    const moves = batches.flatMap((batch) => batch.moves)
    const plans = [...byProjection(batches)].map(([projection, factOps]) => ({
      projection,
      ...planOps(projection, factOps, { ...(recall && { recall }) }),
    }))
    const mustRead = plans.some((plan) => plan.mustRead)
    return database.asService(async (tx) => {
      // One message where no row has to be read. Otherwise positions and the rows there are, then all that is written, with the COMMIT.
      const moving = mustRead ? movePositions(tx, moves) : undefined
      const folding = Promise.all(plans.map(async ({ projection, fold }) => ({ projection, ...(await fold(tx)) })))
      folding.catch(() => undefined)
      if (moving && !(await moving)) throw new PositionMovedError()
      const folded = await folding
      const sends = folded.flatMap(({ statements }) =>
        statements.map(
          ({ text, values }) =>
            (to: Tx): Promise<unknown> =>
              to.query(text, values),
        ),
      )
      if (!mustRead) sends.unshift((to) => movePositionsOrFail(to, moves))
      await allSent(sends.map((send, at) => send(at === sends.length - 1 ? tx.last : tx)))
      return new Map(folded.map(({ projection, rows }) => [projection, rows]))
    }, notDurable)
  }

  async function settle(group: readonly Waiting[]): Promise<void> {
    try {
      const rows = await write(group.map(({ batch }) => batch))
      for (const { resolve } of group) resolve(rows)
    } catch (error) {
      const isMoved = error instanceof PositionMovedError
      const [first, ...others] = group
      if (others.length > 0 && (isMoved || isFactsFault(error))) {
        for (const one of group) await settle([one]) // Whose fault it is shows when each is alone.
      } else if (isMoved) first?.resolve(undefined)
      else for (const { reject } of group) reject(error)
    }
  }

  function nextGroup(): Waiting[] {
    let [count, facts] = [0, 0]
    for (const { batch } of waiting) {
      if (count > 0 && facts + batch.facts > factsMax) break
      count += 1
      facts += batch.facts
    }
    return waiting.splice(0, count)
  }

  async function writeAll(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) await settle(nextGroup())
    isWriting = false
  }

  return (batch) =>
    new Promise((resolve, reject) => {
      // Company would spare it nothing, and a view that catches up would hold up those that have.
      if (batch.facts * 2 > factsMax) return void settle([{ batch, resolve, reject }])
      waiting.push({ batch, resolve, reject })
      if (!isWriting) void writeAll()
    })
}

/** Of statements that went together the first that failed says why, and those after it only that one has. */
async function allSent(sent: readonly Promise<unknown>[]): Promise<void> {
  for (const one of sent) one.catch(() => undefined)
  try {
    for (const one of sent) await one
  } catch (error) {
    throw isUnmet(error) ? new PositionMovedError() : error
  }
}

function byProjection(batches: readonly ViewBatch[]): Map<Projection, FactOps[]> {
  const all = new Map<Projection, FactOps[]>()
  for (const { writes } of batches)
    for (const { projection, factOps } of writes) {
      const known = all.get(projection)
      if (known) known.push(...factOps)
      else all.set(projection, [...factOps])
    }
  return all
}

/** Somebody else has moved a position: nothing of this transaction may stay. */
class PositionMovedError extends Error {}

/**
 * Whether the rows or the ops are wrong, and not the machine: errors of data, constraints and statements by SQLSTATE,
 * numbers that no parameter holds, and whatever `apply` and the fold throw.
 */
export function isFactsFault(error: unknown): boolean {
  if (!(error instanceof Error) || isFailure(error)) return false
  return 'code' in error && typeof error.code === 'string' ? /^(22|23|42|54|ERR_OUT_OF_RANGE)/.test(error.code) : true
}
