/**
 * What a projection is: a pure map from one fact to changes of rows by primary key. The runners on PostgreSQL and in
 * memory share `fold-rows.ts`, which says what such a change does to a row, so the two cannot disagree.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact } from '../schemas/events.generated.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
export type Value = bigint | Json
export type Values = Readonly<Record<string, Value>>

/** `bigint` is eight bytes, for counts, offsets and times in µs; `amount` is unbounded, for money and sums. */
export type ColumnType = 'text' | 'int' | 'bigint' | 'amount' | 'boolean' | 'json'
export type Column = {
  readonly type: ColumnType
  /** Null where nothing was written; a column that is neither nullable nor a total must be given when a row begins. */
  readonly nullable?: true
  /** 0 where nothing was written; what `add` adds to. */
  readonly total?: true
  /** Empty where nothing was written; what `append` appends to. Each line begins with the seq of its fact and a space. */
  readonly lines?: true
}
export type Columns = Readonly<Record<string, Column>>

export const text = { type: 'text' } as const
export const int = { type: 'int' } as const
export const bigint = { type: 'bigint' } as const
export const amount = { type: 'amount' } as const
export const json = { type: 'json' } as const
export const boolean = { type: 'boolean' } as const
export const nullable = <const C extends Column>(column: C) => ({ ...column, nullable: true }) as const
/** A sum or count that `add` adds to. */
export const total = <const C extends { type: 'bigint' | 'amount' }>(column: C) => ({ ...column, total: true }) as const
/** Text that grows by a line with each fact. */
export const lines = { type: 'text', lines: true } as const

/**
 * One change of one row. An op of a fact that is not newer than the row changes nothing, so facts may come again.
 * A fact has at most one op per row.
 */
export type RowOp =
  /** Begins a row; one that is there already stays as it is. */
  | { readonly op: 'insert'; readonly key: Values; readonly values: Values }
  /** Changes the columns given; begins the row when there is none. */
  | { readonly op: 'set'; readonly key: Values; readonly values: Values }
  /** Adds to totals, and changes the columns given beside them; begins the row at zero when there is none. */
  | {
      readonly op: 'add'
      readonly key: Values
      readonly add: Readonly<Record<string, bigint>>
      readonly values: Values
    }
  /** Adds one line to each of the columns given; begins the row when there is none. */
  | { readonly op: 'append'; readonly key: Values; readonly values: Values }
  /**
   * Ends a row. Nothing remembers its `seq`: facts from before the deletion, applied again, begin it anew until the
   * deletion itself comes again. Views that must not flicker on repetition mark their rows instead.
   */
  | { readonly op: 'delete'; readonly key: Values }

export type Projection = {
  /** Kebab-case, as its folder. */
  readonly name: string
  /** Raise whenever `apply` or the table changes: the view is then rebuilt from zero at the next start. */
  readonly version: number
  readonly table: string
  /** Text of the folder's `table.sql`; `{{table}}` stands for the table's name, because a rebuild fills another one. */
  tableSql(): string
  /** Primary key, in order; the first is always tenant_id. */
  readonly keyColumns: readonly string[]
  /** Every column except `seq`, which every table has: the fact that last wrote the row. */
  readonly columns: Columns
  /** Pure. Throws only for a fact that cannot be right: the runner then stops at its position. */
  apply(fact: Fact): readonly RowOp[]
}

/** Reads a table's definition when it is asked for, not on import. */
export const sqlFile =
  (folder: string, name = 'table.sql') =>
  (): string =>
    readFileSync(join(folder, name), 'utf8')

type TsOf = { text: string; int: number; bigint: bigint; amount: bigint; boolean: boolean; json: Json }
type ValueOf<C extends Column> = TsOf[C['type']] | (C extends { nullable: true } ? null : never)
type Optional<C extends Columns> = {
  [N in keyof C]: C[N] extends { nullable: true } | { total: true } | { lines: true } ? N : never
}[keyof C]
type Lines<C extends Columns> = { [N in keyof C]: C[N] extends { lines: true } ? N : never }[keyof C]
type Totals<C extends Columns> = { [N in keyof C]: C[N] extends { total: true } ? N : never }[keyof C]
type All<C extends Columns> = { readonly [N in keyof C]: ValueOf<C[N]> }
type Whole<C extends Columns, K extends keyof C> = Omit<All<C>, K | Optional<C>> &
  Partial<Pick<All<C>, Exclude<Optional<C>, K>>>
type Part<C extends Columns, K extends keyof C> = Partial<Omit<All<C>, K>>

/** Ops as `apply` writes them: columns and values checked against the projection's own. */
export type TypedOp<C extends Columns, K extends keyof C> =
  | { op: 'insert'; key: Pick<All<C>, K>; values: Whole<C, K> }
  | { op: 'set'; key: Pick<All<C>, K>; values: Part<C, K> }
  | { op: 'add'; key: Pick<All<C>, K>; add: Partial<Record<Totals<C>, bigint>>; values?: Part<C, K> }
  | { op: 'append'; key: Pick<All<C>, K>; values: Partial<Record<Lines<C>, string>> }
  | { op: 'delete'; key: Pick<All<C>, K> }

/** Declares a projection; the compiler checks every op against the columns. */
export function projection<const C extends Columns, const K extends readonly (keyof C & string)[]>(
  parts: Omit<Projection, 'keyColumns' | 'columns' | 'apply'> & {
    keyColumns: K
    columns: C
    apply(fact: Fact): readonly TypedOp<C, K[number]>[]
  },
): Projection {
  const { apply, ...rest } = parts
  return {
    ...rest,
    apply(fact) {
      const ops = apply(fact)
      return ops.length === 0 ? none : ops.map(untyped) // Most facts are nothing to most views.
    },
  }
}

const none: readonly RowOp[] = []

const untyped = <C extends Columns, K extends keyof C>(op: TypedOp<C, K>): RowOp =>
  (op.op === 'add' ? { ...op, values: op.values ?? {} } : op) as RowOp
