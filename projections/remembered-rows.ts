/**
 * The rows that one process has written last, so that it need not read them before it writes them again.
 *
 * A row is what the facts up to its view's position make of it, whoever wrote it; so what is remembered of a position
 * counts for as long as that is where the view stands, and whoever moves the view on from there finds that out in the same
 * transaction. Only a rebuild makes rows other than they were: it counts `rebuilds` on.
 */
import type { Row, Rows } from './fold-rows.ts'
import type { Move } from './positions.ts'
import type { Projection } from './projection.ts'
import type { ViewBatch } from './view-batch.ts'

export type RememberedRows = {
  /** Call with what is to be written next: rows of its partition that were remembered of other positions are forgotten. */
  check(batch: ViewBatch): void
  /** The row as it stands; undefined when it is not known, which says nothing of the table. */
  recall(projection: Projection, id: string): Row | undefined
  /** Call when the batch is committed. `written`: its rows, and maybe those of others. */
  remember(batch: ViewBatch, written: ReadonlyMap<Projection, Rows>): void
  /** All rows of the batch's partition. */
  forget(batch: ViewBatch): void
}

/** Where the views of a partition stand; another object when what was remembered does not count any more. */
type Place = { partition: number; views: Map<string, Pick<Move, 'version' | 'rebuilds'> & { seq: bigint }> }

/** `rowsMax`: rows of each view; those that were written longest ago go first. */
export function rememberedRows(rowsMax: number): RememberedRows {
  const rowsOf = new Map<Projection, Map<string, { row: Row; place: Place }>>()
  const places = new Map<number, Place>()

  function isAt({ partition, projection, version, rebuilds, from }: Move): boolean {
    const view = places.get(partition)?.views.get(projection)
    return view?.seq === from && view.version === version && view.rebuilds === rebuilds
  }

  function placeOf(partition: number): Place {
    const place = places.get(partition) ?? { partition, views: new Map() }
    places.set(partition, place)
    return place
  }

  function take(projection: Projection, id: string, row: Row | undefined, place: Place): void {
    const known = rowsOf.get(projection) ?? new Map<string, { row: Row; place: Place }>()
    rowsOf.set(projection, known)
    known.delete(id)
    if (row) known.set(id, { row, place })
    if (known.size <= rowsMax) return
    const [oldest] = known.keys()
    if (oldest !== undefined) known.delete(oldest)
  }

  const forget = ({ moves }: ViewBatch) => {
    for (const { partition } of moves) places.delete(partition)
  }

  return {
    check(batch) {
      if (!batch.moves.every(isAt)) forget(batch)
    },
    recall(projection, id) {
      const known = rowsOf.get(projection)?.get(id)
      return known && places.get(known.place.partition) === known.place ? known.row : undefined
    },
    remember({ moves, writes }, written) {
      const [first] = moves
      if (!first) return
      const place = placeOf(first.partition)
      for (const { projection, version, rebuilds, to } of moves)
        place.views.set(projection, { version, rebuilds, seq: to.seq })
      for (const { projection, factOps } of writes) {
        const rows = written.get(projection)
        for (const { ops } of factOps)
          for (const { id } of ops) if (rows?.has(id)) take(projection, id, rows.get(id), place)
      }
    },
    forget,
  }
}
