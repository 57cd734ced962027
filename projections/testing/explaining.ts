/** How PostgreSQL carries a statement out, for tests of what a page reads. */
import type { Tx } from '../../platform/postgres/database.ts'

export type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Actual Loops': number
  'Actual Rows': number
  'Rows Removed by Filter'?: number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

/** Also notes how each statement is carried out. */
export const explaining = (tx: Tx, plans: Plan[]): Tx => ({
  async query(text, values) {
    const { rows } = await tx.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
      values,
    )
    plans.push(...rows.flatMap((row) => row['QUERY PLAN'].map(({ Plan: plan }) => plan)))
    return tx.query(text, values)
  },
  get last() {
    return explaining(tx.last, plans)
  },
})

/** Where the plan reads the table. */
export const readsOf = (plan: Plan, table: string): Plan[] => [
  ...(plan['Relation Name'] === table ? [plan] : []),
  ...(plan.Plans ?? []).flatMap((part) => readsOf(part, table)),
]
