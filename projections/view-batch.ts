/** Facts of one partition on their way into the views. */
import type { FactOps } from './fold-rows.ts'
import type { Move } from './positions.ts'
import type { Projection } from './projection.ts'

/** What some facts change in one view, in order. */
export type ViewWrite = { projection: Projection; factOps: readonly FactOps[] }

export type ViewBatch = {
  /** Positions of one partition. */
  moves: readonly Move[]
  writes: readonly ViewWrite[]
  /** How many facts it is. */
  facts: number
}
