/**
 * How far each view has read each partition. A position moves only from the value its runner last saw, in the
 * transaction that writes the rows: a second runner, or one that slept through a takeover, finds 0 rows and rolls back.
 */
import type { FactCursor, StoredFact } from '../platform/log/log.ts'
import type { Tx } from '../platform/postgres/database.ts'
import { demand } from '../platform/postgres/demand.ts'
import { serviceRole } from '../platform/postgres/isolation.ts'
import type { Migration } from '../platform/postgres/migrate.ts'

export const positionMigration: Migration = {
  name: 'projections-0001-position',
  sql: `CREATE TABLE projection_position (
    projection text NOT NULL,
    partition integer NOT NULL,
    -- Of the projection's code; a runner of another version never moves the row.
    version integer NOT NULL,
    seq bigint NOT NULL,
    -- Next offset of every fact stream, as text by stream.
    offsets jsonb NOT NULL,
    PRIMARY KEY (projection, partition)
  );
  GRANT SELECT, INSERT, UPDATE, DELETE ON projection_position TO ${serviceRole};`,
}

/** Says of a table whether it is still the one whose rows somebody remembers. */
export const rebuildsMigration: Migration = {
  name: 'projections-0003-rebuilds',
  sql: 'ALTER TABLE projection_position ADD COLUMN rebuilds integer NOT NULL DEFAULT 0',
}

/** `rebuilds`: how often another table has taken the place of the view's. */
export type ViewPosition = { projection: string; version: number; rebuilds: number; cursor: FactCursor }
export type Move = Omit<ViewPosition, 'cursor'> & { partition: number; from: bigint; to: FactCursor }

type PositionRow = {
  projection: string
  partition: number
  version: number
  rebuilds: number
  seq: bigint
  offsets: Record<string, string>
}

/** Positions of all views in the partition, or in all partitions. Locked until the transaction ends when asked. */
export async function readPositions(
  tx: Tx,
  partition: number | null,
  locked = false,
): Promise<(ViewPosition & { partition: number })[]> {
  const { rows } = await tx.query<PositionRow>(
    `SELECT projection, partition, version, rebuilds, seq, offsets FROM projection_position
     WHERE $1::integer IS NULL OR partition = $1 ORDER BY projection, partition ${locked ? 'FOR UPDATE' : ''}`,
    [partition],
  )
  return rows.map(({ projection, partition, version, rebuilds, seq, offsets }) => ({
    projection,
    partition,
    version,
    rebuilds,
    cursor: { seq: BigInt(seq), offsets: offsetsFrom((stream) => BigInt(offsets[stream] ?? 0)) },
  }))
}

/** Moves every position, or answers false and the caller must roll back: somebody else has moved one, or made its table anew. */
export async function movePositions(tx: Tx, moves: readonly Move[]): Promise<boolean> {
  const { rowCount } = await tx.query(moveSql, [movesText(moves)])
  return rowCount === moves.length
}

/** The same for a transaction that goes whole: throws what `isUnmet` knows, which rolls it back, where that answers false. */
export async function movePositionsOrFail(tx: Tx, moves: readonly Move[]): Promise<void> {
  await tx.query(moveOrFailSql, [movesText(moves), moves.length])
}

// Locked in one order first, so that two runners wait for each other and never deadlock.
const wantedSql = `wanted AS (
  SELECT w.* FROM jsonb_to_recordset($1::jsonb)
    AS w(partition integer, projection text, version integer, rebuilds integer, "from" bigint, seq bigint, offsets jsonb)
  JOIN projection_position p ON p.partition = w.partition AND p.projection = w.projection
  ORDER BY p.projection, p.partition FOR UPDATE OF p)`
const updateSql = `UPDATE projection_position p SET seq = w.seq, offsets = w.offsets FROM wanted w
  WHERE p.partition = w.partition AND p.projection = w.projection AND p.version = w.version AND p.rebuilds = w.rebuilds
    AND p.seq = w."from"`
const moveSql = `WITH ${wantedSql} ${updateSql}`
const moveOrFailSql = `WITH ${wantedSql}, moved AS (${updateSql} RETURNING 1)
  SELECT ${demand('count(*) = $2::integer')} FROM moved`

const movesText = (moves: readonly Move[]): string =>
  JSON.stringify(
    moves.map(({ partition, projection, version, rebuilds, from, to }) => ({
      partition,
      projection,
      version,
      rebuilds,
      from: String(from),
      seq: String(to.seq),
      offsets: offsetTexts(to),
    })),
  )

/** Begins a view at zero in every partition where it has no position yet. */
export async function beginPositions(
  tx: Tx,
  views: readonly { projection: string; version: number }[],
  partitionCount: number,
): Promise<void> {
  for (const { projection, version } of views) {
    await tx.query(
      `INSERT INTO projection_position (projection, partition, version, seq, offsets)
       SELECT $1, partition, $2, 0, '{}'::jsonb FROM generate_series(0, $3::integer - 1) AS partition
       ON CONFLICT DO NOTHING`,
      [projection, version, partitionCount],
    )
  }
}

/** The cursor after these facts, which follow `cursor`. */
export function cursorAfter(cursor: FactCursor, facts: readonly StoredFact[]): FactCursor {
  const offsets = { ...cursor.offsets }
  let { seq } = cursor
  for (const fact of facts) {
    offsets[fact.stream] = fact.offset + 1n
    seq = fact.seq
  }
  return { seq, offsets }
}

export const offsetTexts = ({ offsets }: FactCursor): Record<string, string> =>
  offsetsFrom((stream) => String(offsets[stream]))

const offsetsFrom = <T>(of: (stream: keyof FactCursor['offsets']) => T) => ({
  directory: of('directory'),
  accounts: of('accounts'),
  jobs: of('jobs'),
  usage: of('usage'),
  billing: of('billing'),
  transfers: of('transfers'),
})
