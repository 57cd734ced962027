/**
 * Fills a view from zero beside the live one, catches up, and swaps the two in one transaction: readers see the old
 * rows until they see the new ones. Started again after a crash it begins anew; what the crash left is dropped.
 */
import { createHash } from 'node:crypto'
import { PlatformError } from '../platform/errors.ts'
import { type FactCursor, type Log, startOfFacts } from '../platform/log/log.ts'
import type { Database, Tx } from '../platform/postgres/database.ts'
import type { Codec } from '../schemas/codec.ts'
import { factFrom } from './decode.ts'
import { opsOf } from './fold-rows.ts'
import { notDurable } from './group-writer.ts'
import { allProjections } from './index.ts'
import { beginPositions, movePositions, offsetTexts, readPositions } from './positions.ts'
import type { Projection } from './projection.ts'
import { createTableSql, rebuildSuffix, writeOps } from './tables.ts'

export type RebuildProgress = { projection: string; factsDone: bigint; factsTotal: bigint }

export type RebuildParts = {
  log: Log
  codec: Codec
  database: Database
  /** Default: all. */
  projections?: readonly Projection[]
  /** After every batch; `factsTotal` grows while facts are written. */
  onProgress?: (progress: RebuildProgress) => void
  /** Facts in one transaction; default 2,000. */
  factsMax?: number
}

export type Rebuilt = { projection: string; facts: bigint; rounds: number }

const factsMaxDefault = 2_000
/** Times the live view may be found ahead when the two are to be swapped. */
const roundsMax = 1_000

/**
 * Rebuilds one view. Runs beside live readers and writers; while it runs they are served from the old table. Throws
 * NOT_FOUND for a name no projection has, NOT_READY when the live view was ahead at every one of 1,000 attempts to
 * swap, and what a fact that cannot be decoded or applied throws: then the live view stays as it is.
 */
export async function rebuildProjection(name: string, parts: RebuildParts): Promise<Rebuilt> {
  const [rebuilt] = await rebuildProjections([name], parts)
  if (!rebuilt) throw new PlatformError('INTERNAL', { projection: name, problem: 'nothing was rebuilt' })
  return rebuilt
}

/**
 * Rebuilds several views in one reading of the log, each swapped by itself when all have caught up. Otherwise as
 * `rebuildProjection`: what fails leaves the views that are not swapped yet as they are.
 */
export async function rebuildProjections(names: readonly string[], parts: RebuildParts): Promise<Rebuilt[]> {
  const { log, database, projections = allProjections } = parts
  let waiting = names.map((name) => {
    const found = projections.find((p) => p.name === name)
    if (!found) throw new PlatformError('NOT_FOUND', { projection: name })
    return found
  })
  for (const projection of waiting) await begin(projection, database, log.partitionCount)
  const cursors = new Map(Array.from({ length: log.partitionCount }, (_, partition) => [partition, startOfFacts]))
  const rebuilt: Rebuilt[] = []
  for (let rounds = 1; rounds <= roundsMax && waiting.length > 0; rounds++) {
    await catchUp(waiting, cursors, parts)
    const behind: Projection[] = []
    for (const projection of waiting) {
      if (await swap(projection, cursors, database))
        rebuilt.push({ projection: projection.name, facts: sumOfSeq(cursors), rounds })
      else behind.push(projection)
    }
    waiting = behind
  }
  if (waiting.length === 0) return rebuilt
  throw new PlatformError('NOT_READY', {
    projection: waiting.map(({ name }) => name).join(' '),
    problem: 'the live view keeps moving ahead',
    rounds: roundsMax,
  })
}

async function begin(projection: Projection, database: Database, partitionCount: number): Promise<void> {
  const table = projection.table + rebuildSuffix
  await database.asOwner(async (tx) => {
    await tx.query(`DROP TABLE IF EXISTS ${table}`)
    await tx.query(createTableSql(projection, table))
  })
  await database.asService(async (tx) => {
    await tx.query('DELETE FROM projection_position WHERE projection = $1', [projection.name + rebuildSuffix])
    await beginPositions(
      tx,
      [{ projection: projection.name + rebuildSuffix, version: projection.version }],
      partitionCount,
    )
  })
}

async function catchUp(
  projections: readonly Projection[],
  cursors: Map<number, FactCursor>,
  parts: RebuildParts,
): Promise<void> {
  const { log, onProgress, factsMax = factsMaxDefault } = parts
  const label = projections.map(({ name }) => name).join(' ')
  const ends = await Promise.all([...cursors.keys()].map(async (partition) => (await log.committed(partition)).seq))
  const factsTotal = ends.reduce((sum, seq) => sum + seq, 0n)
  for (const [partition, begun] of cursors) {
    let cursor = begun
    while (cursor.seq < (ends[partition] ?? 0n)) {
      const read = await log.readFacts(partition, cursor, { recordsMax: factsMax, waitMs: 0 })
      if (read.facts.length === 0)
        throw new PlatformError('LOG_GAP', { partition, committed: ends[partition], found: cursor.seq })
      await take(projections, partition, cursor, read, parts)
      cursor = read.cursor
      cursors.set(partition, cursor)
      onProgress?.({ projection: label, factsDone: sumOfSeq(cursors), factsTotal })
    }
  }
}

async function take(
  projections: readonly Projection[],
  partition: number,
  from: FactCursor,
  read: Awaited<ReturnType<Log['readFacts']>>,
  { codec, database }: RebuildParts,
): Promise<void> {
  const facts = read.facts.map((record) => factFrom(codec, record))
  const writes = projections.map((projection) => ({ projection, factOps: opsOf(projection, facts) }))
  const moves = projections.map(({ name, version }) => ({
    partition,
    projection: name + rebuildSuffix,
    version,
    from: from.seq,
    to: read.cursor,
  }))
  await database.asService(async (tx) => {
    if (!(await movePositions(tx, moves))) {
      throw new PlatformError('INTERNAL', {
        projection: projections.map(({ name }) => name).join(' '),
        problem: 'another rebuild of this view has begun',
      })
    }
    for (const { projection, factOps } of writes)
      await writeOps(tx, projection, factOps, projection.table + rebuildSuffix)
  }, notDurable)
}

/** False, and nothing changed, when the live view is ahead in some partition: readers must not go back in time. */
async function swap(
  projection: Projection,
  cursors: ReadonlyMap<number, FactCursor>,
  database: Database,
): Promise<boolean> {
  const { name, version, table } = projection
  return await database.asOwner(async (tx) => {
    const positions = await readPositions(tx, null, true) // The lock order of the runners: positions first, then tables.
    const live = positions.filter((p) => p.projection === name)
    if (live.some(({ partition, cursor }) => cursor.seq > (cursors.get(partition)?.seq ?? 0n))) return false
    if (
      !isAt(
        positions.filter((p) => p.projection === name + rebuildSuffix),
        cursors,
      )
    ) {
      throw new PlatformError('INTERNAL', { projection: name, problem: 'another rebuild of this view has begun' })
    }
    await tx.query(`DROP TABLE IF EXISTS ${table}`)
    await tx.query(`ALTER TABLE ${table}${rebuildSuffix} RENAME TO ${table}`)
    await tx.query('DELETE FROM projection_position WHERE projection = $1 OR projection = $2', [
      name,
      name + rebuildSuffix,
    ])
    for (const [partition, cursor] of cursors) {
      await tx.query(
        'INSERT INTO projection_position (projection, partition, version, seq, offsets) VALUES ($1, $2, $3, $4, $5::jsonb)',
        [name, partition, version, String(cursor.seq), JSON.stringify(offsetTexts(cursor))],
      )
    }
    return true
  })
}

const isAt = (
  positions: readonly { partition: number; cursor: FactCursor }[],
  cursors: ReadonlyMap<number, FactCursor>,
): boolean =>
  positions.length === cursors.size && positions.every((p) => p.cursor.seq === cursors.get(p.partition)?.seq)

const sumOfSeq = (cursors: ReadonlyMap<number, FactCursor>): bigint =>
  [...cursors.values()].reduce((sum, { seq }) => sum + seq, 0n)

/**
 * Makes every view ready for a runner of this build: new views begin at zero, or are rebuilt where others have moved
 * on already; views of a lower version are rebuilt. Throws SCHEMA_INCOMPATIBLE when a newer build wrote one.
 */
export async function prepareViews(
  parts: RebuildParts & { projections: readonly Projection[]; onRebuild?: (progress: RebuildProgress) => void },
): Promise<void> {
  const { database, log, projections, onRebuild } = parts
  const found = await database.asService((tx) => readPositions(tx, null))
  const isFresh = found.every((p) => p.cursor.seq === 0n)
  const versions = new Map(found.map((p) => [p.projection, p.version]))
  const toRebuild = projections.filter(({ name, version }) => {
    const known = versions.get(name)
    if (known !== undefined && known > version)
      throw new PlatformError('SCHEMA_INCOMPATIBLE', { projection: name, version, found: known })
    return known === undefined ? !isFresh : known < version
  })
  for (const { name } of toRebuild)
    await rebuildProjection(name, { ...parts, ...(onRebuild && { onProgress: onRebuild }) })
  await database.asService((tx) =>
    beginPositions(
      tx,
      projections.map(({ name, version }) => ({ projection: name, version })),
      log.partitionCount,
    ),
  )
}

/**
 * SHA-256, in hex, of all rows in order of the primary key, `seq` included: equal digests mean equal tables, byte for
 * byte. One page of rows at a time; the table should not change meanwhile.
 */
export async function tableDigest(
  database: Database,
  projection: Pick<Projection, 'table' | 'keyColumns'>,
): Promise<{ rows: bigint; sha256: string }> {
  const { table, keyColumns } = projection
  const hash = createHash('sha256')
  let rows = 0n
  let after: string | null = null
  for (;;) {
    const page: string[] = await database.asService((tx) => readPage(tx, table, keyColumns, after))
    for (const row of page) hash.update(`${Buffer.byteLength(row)}:${row}`)
    rows += BigInt(page.length)
    const last = page.at(-1)
    if (last === undefined || page.length < digestPageRows) return { rows, sha256: hash.digest('hex') }
    after = last
  }
}

const digestPageRows = 5_000

async function readPage(tx: Tx, table: string, keyColumns: readonly string[], after: string | null): Promise<string[]> {
  const columns = (alias: string) => keyColumns.map((name) => `${alias}.${name}`).join(', ')
  const beyond =
    after === null
      ? ''
      : `, json_populate_record(NULL::${table}, $1::json) a WHERE (${columns('t')}) > (${columns('a')})`
  const { rows } = await tx.query<{ row: string }>(
    `SELECT row_to_json(t)::text AS row FROM ${table} t${beyond} ORDER BY ${columns('t')} LIMIT ${digestPageRows}`,
    after === null ? [] : [after],
  )
  return rows.map(({ row }) => row)
}

/** Whether two tables hold the same rows, byte for byte, with both digests. */
export async function compareTables(
  database: Database,
  a: Pick<Projection, 'table' | 'keyColumns'>,
  b: Pick<Projection, 'table' | 'keyColumns'>,
): Promise<{ isEqual: boolean; digests: [string, string]; rows: [bigint, bigint] }> {
  const [first, second] = [await tableDigest(database, a), await tableDigest(database, b)]
  return {
    isEqual: first.sha256 === second.sha256,
    digests: [first.sha256, second.sha256],
    rows: [first.rows, second.rows],
  }
}
