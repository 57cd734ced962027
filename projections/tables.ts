/** The tables of the views: how they are made, and how a batch of ops reaches one in two statements. */

import { bigintArray, booleanArray, intArray, textArray } from '../platform/postgres/arrays.ts'
import type { Tx } from '../platform/postgres/database.ts'
import { isolationSql, tenantRole } from '../platform/postgres/isolation.ts'
import { begunRows, type FactOps, foldRows, type Row, type Rows, rowId } from './fold-rows.ts'
import type { Column, ColumnType, Projection, RowOp, Value, Values } from './projection.ts'

export const rebuildSuffix = '__rebuild'

/** Makes the table: rows visible to their tenant, written by the service alone. */
export const createTableSql = (projection: Projection, table = projection.table): string =>
  `${tableSqlOf(projection, table)}
${isolationSql(table)}
REVOKE INSERT, UPDATE, DELETE ON ${table} FROM ${tenantRole};`

const indexStatement = /^CREATE INDEX[^;]*;/gm

/** Without the indexes that only readers need: what is full is indexed in one go, for less than row by row. */
export const createBareTableSql = (projection: Projection, table: string): string =>
  createTableSql(projection, table).replaceAll(indexStatement, '')

export const createIndexSql = (projection: Projection, table: string): readonly string[] =>
  tableSqlOf(projection, table).match(indexStatement) ?? []

const tableSqlOf = (projection: Projection, table: string): string =>
  projection.tableSql().replaceAll('{{table}}', table)

export type Statement = { text: string; values: Buffer[] }
/** `rows`: what the ops make of the rows that they touch, by key; none of ops that only insert or only append. */
export type Folded = { statements: Statement[]; rows: Rows }

/** What is known of a row without reading it: as it stands in the table at the batch's position. */
export type Recall = (projection: Projection, id: string) => Row | undefined

/** Ops on their way into a table. */
export type Plan = {
  /** Whether rows have to be read before it is known what is to be written. */
  mustRead: boolean
  /** Reads them in the caller's transaction, where it must, and answers what is to be written there; what it throws must roll that back. */
  fold(tx: Tx): Promise<Folded>
}

/**
 * Folds the ops into `table`: one SELECT of the rows they touch, one upsert, one delete where there is something to
 * delete. Ops that only insert, or only append, need no SELECT. Runs in the caller's transaction; what it throws must roll that back.
 */
export async function writeOps(
  tx: Tx,
  projection: Projection,
  factOps: readonly FactOps[],
  table = projection.table,
): Promise<void> {
  const { statements } = await planOps(projection, factOps, { table }).fold(tx)
  await Promise.all(statements.map(({ text, values }) => tx.query(text, values)))
}

/**
 * `recall`: rows that it knows are not read, and one that it does not know is taken to begin where its first op inserts it.
 * The statement that writes such a row fails where there is one after all.
 */
export function planOps(
  projection: Projection,
  factOps: readonly FactOps[],
  { table = projection.table, recall }: { table?: string; recall?: Recall } = {},
): Plan {
  const sql = sqlOf(projection, table)
  if (factOps.length === 0) return planned([])
  if (areAll(factOps, 'insert'))
    return planned([{ text: sql.insert, values: parametersOf(sql.columns, begunRows(projection, factOps)) }])
  if (areAll(factOps, 'append')) {
    const pieces: Rows = new Map()
    foldRows(projection, pieces, factOps)
    return planned([{ text: sql.append, values: parametersOf(sql.columns, present(pieces.values())) }])
  }
  const before: Rows = new Map()
  const begun = new Set<string>()
  const unread = new Map<string, Values>()
  for (const { ops } of factOps)
    for (const { id, op } of ops) {
      if (before.has(id)) continue
      const row = recall?.(projection, id)
      before.set(id, row)
      if (row) continue
      if (recall && op.op === 'insert') begun.add(id)
      else unread.set(id, op.key)
    }

  function written(): Folded {
    const rows: Rows = new Map(before)
    foldRows(projection, rows, factOps)
    const [removed, made, changed]: [Row[], Row[], Row[]] = [[], [], []]
    for (const [id, row] of rows) {
      const old = before.get(id)
      if (!row && old) removed.push(old)
      else if (row && row !== old) (begun.has(id) ? made : changed).push(row)
    }
    const statements: Statement[] = []
    if (removed.length > 0) statements.push({ text: sql.remove, values: parametersOf(sql.keyColumns, removed) })
    if (made.length > 0) statements.push({ text: sql.begin, values: parametersOf(sql.columns, made) })
    if (changed.length > 0) statements.push({ text: sql.upsert, values: parametersOf(sql.columns, changed) })
    return { statements, rows }
  }

  return {
    mustRead: unread.size > 0,
    async fold(tx) {
      if (unread.size > 0)
        for (const [id, row] of await readRows(tx, projection, [...unread.values()], sql)) before.set(id, row)
      return written()
    },
  }
}

/** Whose statements do not depend on what the table holds. */
const planned = (statements: Statement[]): Plan => ({
  mustRead: false,
  fold: async () => ({ statements, rows: new Map() }),
})

const present = (rows: Iterable<Row | undefined>): Row[] => [...rows].filter((row) => row !== undefined)

const areAll = (factOps: readonly FactOps[], kind: RowOp['op']): boolean =>
  factOps.every(({ ops }) => ops.every(({ op }) => op.op === kind))

async function readRows(
  tx: Tx,
  projection: Projection,
  keys: readonly Values[],
  sql: TableSql,
): Promise<Map<string, Row>> {
  const { rows } = await tx.query(sql.select, parametersOf(sql.keyColumns, keys))
  return new Map(
    rows.map((raw) => {
      const row = fromTableRow(projection, raw)
      return [rowId(projection.keyColumns, row), row]
    }),
  )
}

/** A row as the driver gives it, with eight-byte integers and amounts as bigint. */
export function fromTableRow({ columns }: Projection, raw: Readonly<Record<string, unknown>>): Row {
  const row: Record<string, Value> = {}
  for (const name in columns) row[name] = fromSql(columns[name]?.type, raw[name])
  return { ...row, seq: BigInt(String(raw['seq'])) }
}

const fromSql = (type: ColumnType | undefined, value: unknown): Value =>
  (type === 'bigint' || type === 'amount') && value !== null && typeof value !== 'bigint'
    ? BigInt(String(value))
    : (value as Value)

/** A column of a table: all its values become one parameter of type `array`, and each of them again what it is by `cast`. */
type TableColumn = { name: string; array: string; cast: string; toParameter(values: readonly Value[]): Buffer }
type TableSql = {
  columns: readonly TableColumn[]
  keyColumns: readonly TableColumn[]
  select: string
  begin: string
  insert: string
  upsert: string
  append: string
  remove: string
}

const parametersOf = (columns: readonly TableColumn[], rows: readonly Values[]): Buffer[] =>
  columns.map(({ name, toParameter }) => toParameter(rows.map((row) => row[name] ?? null)))

const known = new WeakMap<Projection, Map<string, TableSql>>()

function sqlOf(projection: Projection, table: string): TableSql {
  const byTable = known.get(projection) ?? new Map<string, TableSql>()
  known.set(projection, byTable)
  const made = byTable.get(table) ?? makeSql(projection, table)
  byTable.set(table, made)
  return made
}

function makeSql(projection: Projection, table: string): TableSql {
  const all: Readonly<Record<string, Column>> = { ...projection.columns, seq: { type: 'bigint' } }
  const columns = Object.entries(all).map(([name, { type }]) => tableColumn(name, type))
  const keyColumns = columns.filter(({ name }) => projection.keyColumns.includes(name))
  const names = columns.map(({ name }) => name).join(', ')
  const sameKey = keyColumns.map(({ name }) => `t.${name} = k.${name}`).join(' AND ')
  const begin = `INSERT INTO ${table} (${names}) ${selectFrom(columns)}`
  const insert = `${begin} ON CONFLICT (${projection.keyColumns.join(', ')})`
  const changing = columns.filter((column) => !keyColumns.includes(column))
  const appended = columns
    .filter(({ name }) => all[name]?.lines)
    .map(({ name }) => `${name} = ${allLines(table, name)}`)
  return {
    columns,
    keyColumns,
    select: `SELECT ${columns.map(({ name }) => `t.${name}`).join(', ')} FROM (${selectFrom(keyColumns)}) k JOIN ${table} t ON ${sameKey}`,
    begin,
    insert: `${insert} DO NOTHING`,
    upsert: `${insert} DO UPDATE SET ${changing.map(({ name }) => `${name} = excluded.${name}`).join(', ')} WHERE ${table}.seq < excluded.seq`,
    append: `${insert} DO UPDATE SET ${[...appended, 'seq = excluded.seq'].join(', ')} WHERE ${table}.seq < excluded.seq`,
    remove: `DELETE FROM ${table} t USING (${selectFrom(keyColumns)}) k WHERE ${sameKey}`,
  }
}

/** The lines of a row that is there already, and those of the new ones that are of facts after its last. */
const allLines = (table: string, name: string): string =>
  `concat_ws(E'\\n', nullif(${table}.${name}, ''), (SELECT string_agg(line, E'\\n' ORDER BY n)
    FROM unnest(string_to_array(nullif(excluded.${name}, ''), E'\\n')) WITH ORDINALITY AS l(line, n)
    WHERE split_part(line, ' ', 1)::bigint > ${table}.seq))`

/** The rows that stand in parameters, one for each column. */
function selectFrom(columns: readonly TableColumn[]): string {
  const values = columns.map(({ name, cast }) => (cast === '' ? name : `${name}${cast} AS ${name}`))
  const arrays = columns.map(({ array }, at) => `$${at + 1}::${array}`)
  return `SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS r(${columns.map(({ name }) => name).join(', ')})`
}

function tableColumn(name: string, type: ColumnType): TableColumn {
  switch (type) {
    case 'text':
      return { name, array: 'text[]', cast: '', toParameter: (values) => textArray(values as (string | null)[]) }
    case 'int':
      return { name, array: 'integer[]', cast: '', toParameter: (values) => intArray(values as (number | null)[]) }
    case 'bigint':
      return { name, array: 'bigint[]', cast: '', toParameter: (values) => bigintArray(values as (bigint | null)[]) }
    case 'boolean':
      return { name, array: 'boolean[]', cast: '', toParameter: (values) => booleanArray(values as (boolean | null)[]) }
    case 'amount':
      return { name, array: 'text[]', cast: '::numeric', toParameter: (values) => textArray(values.map(textOrNull)) }
    case 'json':
      return { name, array: 'text[]', cast: '::jsonb', toParameter: (values) => textArray(values.map(jsonOrNull)) }
  }
}

const textOrNull = (value: Value): string | null => (value === null ? null : String(value))
const jsonOrNull = (value: Value): string | null => (value === null ? null : JSON.stringify(value))
