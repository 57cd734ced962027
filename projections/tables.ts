/** The tables of the views: how they are made, and how a batch of ops reaches one in two statements. */

import type { Tx } from '../platform/postgres/database.ts'
import { isolationSql, tenantRole } from '../platform/postgres/isolation.ts'
import { type FactOps, foldRows, type Row, type Rows, rowId } from './fold-rows.ts'
import type { Column, ColumnType, Projection, Value } from './projection.ts'

export const rebuildSuffix = '__rebuild'

/** Makes the table: rows visible to their tenant, written by the service alone. */
export const createTableSql = (projection: Projection, table = projection.table): string =>
  `${projection.tableSql().replaceAll('{{table}}', table)}
${isolationSql(table)}
REVOKE INSERT, UPDATE, DELETE ON ${table} FROM ${tenantRole};`

/**
 * Folds the ops into `table`: one SELECT of the rows they touch, one upsert, one delete where there is something to
 * delete. Ops that only insert need no SELECT. Runs in the caller's transaction; what it throws must roll that back.
 */
export async function writeOps(
  tx: Tx,
  projection: Projection,
  factOps: readonly FactOps[],
  table = projection.table,
): Promise<void> {
  if (factOps.length === 0) return
  const sql = sqlOf(projection, table)
  const touched = new Map(factOps.flatMap(({ ops }) => ops.map(({ id, op }) => [id, op])))
  const insertsOnly = factOps.every(({ ops }) => ops.every(({ op }) => op.op === 'insert'))
  const before = insertsOnly
    ? new Map<string, Row>()
    : await readRows(
        tx,
        projection,
        [...touched.values()].map((op) => op.key),
        sql,
      )
  const rows: Rows = new Map([...touched.keys()].map((id) => [id, before.get(id)]))
  foldRows(projection, rows, factOps)

  const written: Row[] = []
  const deleted: Row[] = []
  for (const [id, row] of rows) {
    const old = before.get(id)
    if (row && row !== old) written.push(row)
    else if (!row && old) deleted.push(old)
  }
  if (deleted.length > 0) await tx.query(sql.remove, [jsonOf(deleted)])
  if (written.length > 0) await tx.query(insertsOnly ? sql.insert : sql.upsert, [jsonOf(written)])
}

async function readRows(
  tx: Tx,
  projection: Projection,
  keys: readonly object[],
  sql: TableSql,
): Promise<Map<string, Row>> {
  const { rows } = await tx.query(sql.select, [jsonOf(keys)])
  return new Map(
    rows.map((raw) => {
      const row = fromTableRow(projection, raw)
      return [rowId(projection.keyColumns, row), row]
    }),
  )
}

/** A row as the driver gives it, with eight-byte integers and amounts as bigint. */
export function fromTableRow(projection: Projection, raw: Readonly<Record<string, unknown>>): Row {
  const row: Record<string, Value> = {}
  for (const [name, { type }] of Object.entries(projection.columns)) row[name] = fromSql(type, raw[name])
  return { ...row, seq: BigInt(String(raw['seq'])) }
}

const fromSql = (type: ColumnType, value: unknown): Value =>
  (type === 'bigint' || type === 'amount') && value !== null ? BigInt(String(value)) : (value as Value)

const jsonOf = (rows: readonly object[]): string =>
  JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))

type TableSql = { select: string; insert: string; upsert: string; remove: string }
const known = new WeakMap<Projection, Map<string, TableSql>>()

function sqlOf(projection: Projection, table: string): TableSql {
  const byTable = known.get(projection) ?? new Map<string, TableSql>()
  known.set(projection, byTable)
  const made = byTable.get(table) ?? makeSql(projection, table)
  byTable.set(table, made)
  return made
}

function makeSql({ columns, keyColumns }: Projection, table: string): TableSql {
  const withSeq: Readonly<Record<string, Column>> = { ...columns, seq: { type: 'bigint' } }
  const names = Object.keys(withSeq)
  const shape = names.map((name) => `${name} ${sqlType(withSeq[name])}`).join(', ')
  const keyShape = keyColumns.map((name) => `${name} ${sqlType(withSeq[name])}`).join(', ')
  const sameKey = keyColumns.map((name) => `t.${name} = k.${name}`).join(' AND ')
  const insert = `INSERT INTO ${table} (${names.join(', ')}) SELECT ${names.join(', ')} FROM jsonb_to_recordset($1::jsonb) AS r(${shape})
    ON CONFLICT (${keyColumns.join(', ')})`
  const changing = names.filter((name) => !keyColumns.includes(name)).map((name) => `${name} = excluded.${name}`)
  return {
    select: `SELECT ${names.map((name) => `t.${name}`).join(', ')} FROM jsonb_to_recordset($1::jsonb) AS k(${keyShape})
      JOIN ${table} t ON ${sameKey}`,
    insert: `${insert} DO NOTHING`,
    upsert: `${insert} DO UPDATE SET ${changing.join(', ')} WHERE ${table}.seq < excluded.seq`,
    remove: `DELETE FROM ${table} t USING jsonb_to_recordset($1::jsonb) AS k(${keyShape}) WHERE ${sameKey}`,
  }
}

function sqlType(column: Column | undefined): string {
  switch (column?.type) {
    case 'int':
      return 'integer'
    case 'bigint':
      return 'bigint'
    case 'amount':
      return 'numeric'
    case 'boolean':
      return 'boolean'
    case 'json':
      return 'jsonb'
    default:
      return 'text'
  }
}
