/** What an op does to a row. Pure, and the only place that knows: the runners on PostgreSQL and in memory both use it. */
import type { Fact } from '../schemas/events.generated.ts'
import type { Json, Projection, RowOp, Value, Values } from './projection.ts'

/** Every column of the projection, and `seq`: the fact that last wrote the row. */
export type Row = Values & { readonly seq: bigint }
/** Rows by key; undefined where there is none. */
export type Rows = Map<string, Row | undefined>
/** What one fact changes in one projection's table. */
export type FactOps = { seq: bigint; ops: readonly KeyedOp[] }
export type KeyedOp = { id: string; op: RowOp }

/** The ops of every fact that has some, in order of `seq`. Throws what `apply` throws. */
export function opsOf(projection: Projection, facts: readonly Fact[]): FactOps[] {
  const all: FactOps[] = []
  for (const fact of facts) {
    const ops = projection.apply(fact)
    if (ops.length > 0) all.push({ seq: fact.seq, ops: ops.map((op) => keyed(projection, op)) })
  }
  return all
}

/** Takes the ops into `rows`, in place; every key they touch must have an entry. Rows themselves are never changed. */
export function foldRows(projection: Projection, rows: Rows, factOps: readonly FactOps[]): void {
  for (const { seq, ops } of factOps) {
    if (ops.length > 1 && new Set(ops.map((o) => o.id)).size < ops.length) {
      throw new Error(`${projection.name}: fact ${seq} has two ops for one row.`)
    }
    for (const { id, op } of ops) rows.set(id, changed(projection, rows.get(id), op, seq))
  }
}

function changed(projection: Projection, row: Row | undefined, op: RowOp, seq: bigint): Row | undefined {
  if (row && seq <= row.seq) return row
  switch (op.op) {
    case 'insert':
      return row ?? begun(projection, op.key, op.values, seq)
    case 'set':
      return row ? { ...row, ...op.values, seq } : begun(projection, op.key, op.values, seq)
    case 'add': {
      const before = row ?? begun(projection, op.key, op.values, seq)
      return { ...before, ...op.values, ...sums(before, op.add), seq }
    }
    case 'delete':
      return undefined
  }
}

function begun({ name, columns, keyColumns }: Projection, key: Values, values: Values, seq: bigint): Row {
  const row: Record<string, Value> = {}
  for (const [column, { nullable, total }] of Object.entries(columns)) {
    const given = keyColumns.includes(column) ? key[column] : values[column]
    if (given === undefined && !nullable && !total)
      throw new Error(`${name}: fact ${seq} begins a row without ${column}.`)
    row[column] = given ?? (total ? 0n : null)
  }
  return { ...row, seq }
}

function sums(row: Row, add: Readonly<Record<string, bigint>>): Values {
  const after: Record<string, Value> = {}
  for (const [column, amount] of Object.entries(add)) {
    const before = row[column]
    if (typeof before !== 'bigint') throw new Error(`${column} is not a total.`)
    after[column] = before + amount
  }
  return after
}

function keyed({ keyColumns }: Projection, op: RowOp): KeyedOp {
  return { id: rowId(keyColumns, op.key), op: storable(op) }
}

/** One text per key, never joined: parts may hold any character. */
export const rowId = (keyColumns: readonly string[], row: Values): string =>
  JSON.stringify(keyColumns.map((column) => storableText(String(row[column]))))

/** PostgreSQL's text cannot hold U+0000; U+FFFD takes its place, so that no caller's text can stop a partition. */
const storableText = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text)

function storable(op: RowOp): RowOp {
  if (op.op === 'delete') return { ...op, key: storableValues(op.key) }
  return { ...op, key: storableValues(op.key), values: storableValues(op.values) }
}

function storableValues(values: Values): Values {
  for (const value of Object.values(values)) {
    if (storableValue(value) !== value)
      return Object.fromEntries(Object.entries(values).map(([n, v]) => [n, storableValue(v)]))
  }
  return values
}

function storableValue(value: Value): Value {
  if (typeof value === 'string') return storableText(value)
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) {
    return value.every((item) => storableValue(item) === item)
      ? value
      : value.map((item) => storableValue(item) as Json)
  }
  return storableValues(value) as { readonly [name: string]: Json }
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)
