/** Projections in memory, for the simulator and for comparing with the tables. */
import type { Fact } from '../schemas/events.generated.ts'
import { foldRows, opsOf, type Row, type Rows, rowId } from './fold-rows.ts'
import type { Projection } from './projection.ts'

export type MemoryProjections = {
  /** Takes facts in, in order of `seq`; facts that were taken in before change nothing. All of them or, if one throws, none. */
  apply(facts: readonly Fact[]): void
  /** Every row of a projection, in order of the keys' texts. */
  rows(name: string): Row[]
}

export function memoryProjections(projections: readonly Projection[]): MemoryProjections {
  const tables = new Map<string, Rows>(projections.map((p) => [p.name, new Map()]))

  return {
    apply(facts) {
      const folded = projections.map((projection) => {
        const factOps = opsOf(projection, facts)
        const before = tables.get(projection.name)
        const touched: Rows = new Map()
        for (const { ops } of factOps) for (const { id } of ops) touched.set(id, before?.get(id))
        foldRows(projection, touched, factOps)
        return { table: before, touched }
      })
      for (const { table, touched } of folded) for (const [id, row] of touched) table?.set(id, row)
    },
    rows(name) {
      const rows = [...(tables.get(name) ?? new Map<string, Row>()).values()]
      return sortedRows(
        projections.find((p) => p.name === name)?.keyColumns ?? [],
        rows.filter((row) => row !== undefined),
      )
    },
  }
}

/** One order for rows wherever they come from. */
export function sortedRows(keyColumns: readonly string[], rows: readonly Row[]): Row[] {
  const withId = rows.map((row) => ({ id: rowId(keyColumns, row), row }))
  return withId.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)).map(({ row }) => row)
}
