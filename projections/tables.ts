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
  const { statements } = await foldedOps(tx, projection, factOps, table)
  await Promise.all(statements.map(({ text, values }) => tx.query(text, values)))
}

/** The first half of `writeOps`: reads the rows that the ops touch, and answers the statements that write what becomes of them. */
export async function foldedOps(
  tx: Tx,
  projection: Projection,
  factOps: readonly FactOps[],
  table = projection.table,
): Promise<Folded> {
  if (factOps.length === 0) return { statements: [], rows: new Map() }
  const sql = sqlOf(projection, table)
  if (areAll(factOps, 'insert')) {
    const values = parametersOf(sql.columns, begunRows(projection, factOps))
    return { statements: [{ text: sql.insert, values }], rows: new Map() }
  }
  if (areAll(factOps, 'append')) {
    const pieces: Rows = new Map()
    foldRows(projection, pieces, factOps)
    const values = parametersOf(
      sql.columns,
      [...pieces.values()].filter((piece) => piece !== undefined),
    )
    return { statements: [{ text: sql.append, values }], rows: new Map() }
  }
  const keys = new Map<string, Values>()
  for (const { ops } of factOps) for (const { id, op } of ops) keys.set(id, op.key)
  const before = await readRows(tx, projection, [...keys.values()], sql)
  const rows: Rows = new Map()
  for (const id of keys.keys()) rows.set(id, before.get(id))
  foldRows(projection, rows, factOps)

  const written: Row[] = []
  const deleted: Row[] = []
  for (const [id, row] of rows) {
    const old = before.get(id)
    if (row && row !== old) written.push(row)
    else if (!row && old) deleted.push(old)
  }
  const statements: Statement[] = []
  if (deleted.length > 0) statements.push({ text: sql.remove, values: parametersOf(sql.keyColumns, deleted) })
  if (written.length > 0) statements.push({ text: sql.upsert, values: parametersOf(sql.columns, written) })
  return { statements, rows }
}

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
  const insert = `INSERT INTO ${table} (${names}) ${selectFrom(columns)} ON CONFLICT (${projection.keyColumns.join(', ')})`
  const changing = columns.filter((column) => !keyColumns.includes(column))
  const appended = columns
    .filter(({ name }) => all[name]?.lines)
    .map(({ name }) => `${name} = ${allLines(table, name)}`)
  return {
    columns,
    keyColumns,
    select: `SELECT ${columns.map(({ name }) => `t.${name}`).join(', ')} FROM (${selectFrom(keyColumns)}) k JOIN ${table} t ON ${sameKey}`,
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
