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
  /** Made here, seen by nobody yet: these alone are changed in place. */
  const own = new Set<Row>()
  for (const { seq, ops } of factOps) {
    checkIds(projection, seq, ops)
    for (const { id, op } of ops) rows.set(id, changed(projection, rows.get(id), op, seq, own))
  }
}

/** The rows that ops which only insert begin, in order: whether one is there already is for whoever takes them. */
export function begunRows(projection: Projection, factOps: readonly FactOps[]): Row[] {
  const rows: Row[] = []
  for (const { seq, ops } of factOps) {
    checkIds(projection, seq, ops)
    for (const { op } of ops) if (op.op === 'insert') rows.push(begun(projection, op.key, op.values, seq))
  }
  return rows
}

function checkIds({ name }: Projection, seq: bigint, ops: readonly KeyedOp[]): void {
  if (ops.length > 1 && new Set(ops.map((o) => o.id)).size < ops.length)
    throw new Error(`${name}: fact ${seq} has two ops for one row.`)
}

function changed(projection: Projection, row: Row | undefined, op: RowOp, seq: bigint, own: Set<Row>): Row | undefined {
  if (row && seq <= row.seq) return row
  if (op.op === 'delete') return undefined
  if (row && op.op === 'insert') return row
  const given = op.op === 'append' ? {} : op.values
  const after = row && own.has(row) ? row : row ? { ...row } : begun(projection, op.key, given, seq)
  own.add(after)
  if (op.op !== 'insert') Object.assign(after, given)
  if (op.op === 'add') Object.assign(after, sums(after, op.add))
  if (op.op === 'append') Object.assign(after, appended(projection, after, op.values, seq))
  return Object.assign(after, { seq })
}

function begun(projection: Projection, key: Values, values: Values, seq: bigint): Row {
  const row: Record<string, Value> = {}
  for (const { name, isKey, isNeeded, unwritten } of columnsOf(projection)) {
    const given = isKey ? key[name] : values[name]
    if (given === undefined && isNeeded)
      throw new Error(`${projection.name}: fact ${seq} begins a row without ${name}.`)
    row[name] = given ?? unwritten
  }
  row['seq'] = seq
  return row as Row
}

type BegunColumn = { name: string; isKey: boolean; isNeeded: boolean; unwritten: Value }
const begunColumns = new WeakMap<Projection, readonly BegunColumn[]>()

function columnsOf(projection: Projection): readonly BegunColumn[] {
  const known = begunColumns.get(projection)
  if (known) return known
  const made = Object.entries(projection.columns).map(([name, { nullable, total, lines }]) => ({
    name,
    isKey: projection.keyColumns.includes(name),
    isNeeded: !nullable && !total && !lines,
    unwritten: total ? 0n : lines ? '' : null,
  }))
  begunColumns.set(projection, made)
  return made
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

function appended(projection: Projection, row: Row, values: Values, seq: bigint): Values {
  const after: Record<string, Value> = {}
  for (const [column, line] of Object.entries(values)) {
    const before = row[column]
    if (!projection.columns[column]?.lines || typeof line !== 'string' || line.includes('\n'))
      throw new Error(`${column} takes no such line.`)
    after[column] = `${before}${before === '' ? '' : '\n'}${seq} ${line}`
  }
  return after
}

function keyed({ keyColumns }: Projection, op: RowOp): KeyedOp {
  const made = storable(op)
  return { id: rowId(keyColumns, made.key), op: made }
}

/** One text per key. Every part says its length, so that no two keys look alike: parts may hold any character. */
export function rowId(keyColumns: readonly string[], row: Values): string {
  let id = ''
  for (const column of keyColumns) {
    const part = storableText(String(row[column]))
    id += `${part.length}:${part}`
  }
  return id
}

/** PostgreSQL's text cannot hold U+0000; U+FFFD takes its place, so that no caller's text can stop a partition. */
const storableText = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text)

function storable(op: RowOp): RowOp {
  const key = storableValues(op.key)
  if (op.op === 'delete') return key === op.key ? op : { ...op, key }
  const values = storableValues(op.values)
  return key === op.key && values === op.values ? op : { ...op, key, values }
}

function storableValues(values: Values): Values {
  for (const name in values) {
    const value = values[name]
    if (value !== undefined && storableValue(value) !== value)
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
