/**
 * Fills a view from zero beside the live one, catches up, and swaps the two in one transaction: readers see the old
 * rows until they see the new ones. Started again after a crash it begins anew; what the crash left is dropped.
 */
import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import { type FactCursor, type FactsLog, startOfFacts } from '../platform/log/log.ts'
import { readAhead } from '../platform/log/read-ahead.ts'
import type { Database, Tx } from '../platform/postgres/database.ts'
import type { Codec } from '../schemas/codec.ts'
import type { Fact } from '../schemas/events.generated.ts'
import { factFrom } from './decode.ts'
import { opsOf } from './fold-rows.ts'
import { notDurable } from './group-writer.ts'
import { allProjections } from './index.ts'
import { beginPositions, movePositions, offsetTexts, readPositions } from './positions.ts'
import type { Projection } from './projection.ts'
import { type LockParts, withRebuildLock } from './rebuild-lock.ts'
import { createBareTableSql, createIndexSql, rebuildSuffix, writeOps } from './tables.ts'
import type { ViewWrite } from './view-batch.ts'

export type RebuildProgress = { projection: string; factsDone: bigint; factsTotal: bigint }

export type RebuildParts = {
  log: FactsLog
  codec: Codec
  database: Database
  /** Default: all. */
  projections?: readonly Projection[]
  /** After every batch; `factsTotal` grows while facts are written. */
  onProgress?: (progress: RebuildProgress) => void
  /** Awaited once, when every view has caught up and none is swapped yet: for what looks at the live views meanwhile. */
  beforeSwap?: () => Promise<unknown>
  /** Facts in one transaction; default 2,000. */
  factsMax?: number
  /** Only for waiting for rebuilds of others; default the system's. */
  clock?: Clock
  /** Called once, when another rebuild has to be waited for. */
  onWait?: LockParts['onWait']
}

export type Rebuilt = { projection: string; facts: bigint; rounds: number }

const factsMaxDefault = 2_000
/** Batches of a partition that are written, or wait for that, while the next one is read and made into rows. */
const writesAhead = 2
/** Decoded in one turn of the event loop: a batch takes tens of milliseconds, and the database must not wait that long for its next statement. */
const factsInARow = 200
/** Times the live view may be found ahead when the two are to be swapped. */
const roundsMax = 1_000

/**
 * Rebuilds one view. Runs beside live readers and writers; while it runs they are served from the old table. Waits for
 * the end of any other rebuild, in whatever process. Throws
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
export const rebuildProjections = (names: readonly string[], parts: RebuildParts): Promise<Rebuilt[]> =>
  locked(parts, () => rebuildAll(names, parts))

const locked = <T>({ database, clock = systemClock, onWait }: RebuildParts, run: () => Promise<T>): Promise<T> =>
  withRebuildLock({ database, clock, ...(onWait && { onWait }) }, run)

async function rebuildAll(names: readonly string[], parts: RebuildParts): Promise<Rebuilt[]> {
  const { log, database, projections = allProjections, beforeSwap = async () => {} } = parts
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
    if (rounds === 1) {
      for (const projection of waiting) await index(projection, database)
      await beforeSwap()
    }
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
    await tx.query(createBareTableSql(projection, table))
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

/** What was written meanwhile is little, and is taken in with the indexes in place. */
async function index(projection: Projection, database: Database): Promise<void> {
  for (const sql of createIndexSql(projection, projection.table + rebuildSuffix))
    await database.asOwner((tx) => tx.query(sql))
}

/** All partitions side by side; throws the first failure when none is at work any more. */
async function catchUp(
  projections: readonly Projection[],
  cursors: Map<number, FactCursor>,
  parts: RebuildParts,
): Promise<void> {
  const { log, onProgress } = parts
  const label = projections.map(({ name }) => name).join(' ')
  const ends = await Promise.all([...cursors.keys()].map(async (partition) => (await log.committed(partition)).seq))
  const factsTotal = ends.reduce((sum, seq) => sum + seq, 0n)
  const done = await Promise.allSettled(
    [...cursors].map(([partition, cursor], at) =>
      catchUpPartition(projections, partition, { from: cursor, to: ends[at] ?? 0n }, parts, (reached) => {
        cursors.set(partition, reached)
        onProgress?.({ projection: label, factsDone: sumOfSeq(cursors), factsTotal })
      }),
    ),
  )
  for (const one of done) if (one.status === 'rejected') throw one.reason
}

/** While batches are written, one after another, the next ones are read and made into rows. */
async function catchUpPartition(
  projections: readonly Projection[],
  partition: number,
  { from, to }: { from: FactCursor; to: bigint },
  parts: RebuildParts,
  onWritten: (cursor: FactCursor) => void,
): Promise<void> {
  const { log, codec, database, factsMax = factsMaxDefault } = parts
  let reached = from.seq
  let written: Promise<void> = Promise.resolve()
  const underWay: Promise<void>[] = []
  try {
    for await (const read of readAhead(log, partition, { from, to, recordsMax: factsMax })) {
      const facts: Fact[] = []
      for (const record of read.facts) {
        facts.push(factFrom(codec, record))
        if (facts.length % factsInARow === 0) await breath()
      }
      const writes: ViewWrite[] = []
      for (const projection of projections) {
        writes.push({ projection, factOps: opsOf(projection, facts) })
        await breath()
      }
      const move = { partition, from: reached, to: read.cursor }
      written = written.then(async () => {
        await take(database, writes, move)
        onWritten(read.cursor)
      })
      written.catch(() => undefined) // Told below, or with one of the next batches.
      if (underWay.push(written) > writesAhead) await underWay.shift()
      reached = read.cursor.seq
    }
  } finally {
    await written
  }
}

const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function take(
  database: Database,
  writes: readonly ViewWrite[],
  move: { partition: number; from: bigint; to: FactCursor },
): Promise<void> {
  const moves = writes.map(({ projection: { name, version } }) => ({
    ...move,
    projection: name + rebuildSuffix,
    version,
    rebuilds: 0,
  }))
  await database.asService(async (tx) => {
    const moving = movePositions(tx, moves)
    const writing = Promise.all(
      writes.map(({ projection, factOps }) => writeOps(tx, projection, factOps, projection.table + rebuildSuffix)),
    )
    writing.catch(() => undefined) // What comes of the positions counts: in a table of somebody else anything may be amiss.
    if (!(await moving)) {
      throw new PlatformError('INTERNAL', {
        projection: writes.map(({ projection }) => projection.name).join(' '),
        problem: 'another rebuild of this view has begun',
      })
    }
    await writing
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
      // Who writes the view beside this finds its position moved, and forgets what it remembers of the old table.
      const rebuilds = (live.find((p) => p.partition === partition)?.rebuilds ?? 0) + 1
      await tx.query(
        'INSERT INTO projection_position (projection, partition, version, rebuilds, seq, offsets) VALUES ($1, $2, $3, $4, $5, $6::jsonb)',
        [name, partition, version, rebuilds, String(cursor.seq), JSON.stringify(offsetTexts(cursor))],
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

type ViewParts = RebuildParts & {
  projections: readonly Projection[]
  onRebuild?: (progress: RebuildProgress) => void
}

/**
 * Makes every view ready for a runner of this build: new views begin at zero, or are rebuilt where others have moved
 * on already; views of a lower version are rebuilt. Of several processes that start at once one rebuilds, and the others
 * wait and find it done. Throws SCHEMA_INCOMPATIBLE when a newer build wrote one.
 */
export async function prepareViews(parts: ViewParts): Promise<void> {
  const { database, log, projections, onRebuild } = parts
  if ((await toRebuild(parts)).length > 0) {
    await locked(parts, async () => {
      for (const { name } of await toRebuild(parts))
        await rebuildAll([name], { ...parts, ...(onRebuild && { onProgress: onRebuild }) })
    })
  }
  await database.asService((tx) =>
    beginPositions(
      tx,
      projections.map(({ name, version }) => ({ projection: name, version })),
      log.partitionCount,
    ),
  )
}

async function toRebuild({ database, projections }: ViewParts): Promise<Projection[]> {
  const found = await database.asService((tx) => readPositions(tx, null))
  const isFresh = found.every((p) => p.cursor.seq === 0n)
  const versions = new Map(found.map((p) => [p.projection, p.version]))
  return projections.filter(({ name, version }) => {
    const known = versions.get(name)
    if (known !== undefined && known > version)
      throw new PlatformError('SCHEMA_INCOMPATIBLE', { projection: name, version, found: known })
    return known === undefined ? !isFresh : known < version
  })
}

/**
 * SHA-256, in hex, over all rows in order of the primary key, `seq` included: equal digests mean equal tables, byte for
 * byte. The server hashes a page of rows at a time, and what is hashed here are its hashes; the table should not change
 * meanwhile.
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
    const page: DigestPage | undefined = await database.asService((tx) => digestPage(tx, table, keyColumns, after))
    if (!page || page.last === null) return { rows, sha256: hash.digest('hex') }
    hash.update(page.hash)
    rows += page.rows
    after = page.last
  }
}

const digestPageRows = 5_000

/** `last` is the key of the page's last row, as JSON; null when the page has none. */
type DigestPage = { rows: bigint; hash: Uint8Array; last: string | null }

async function digestPage(
  tx: Tx,
  table: string,
  keyColumns: readonly string[],
  after: string | null,
): Promise<DigestPage | undefined> {
  // Each part of the key as a value of its own: as a row to join with, the index would be read from its beginning.
  const parts = keyColumns.map((name) => `(SELECT ${name} FROM json_populate_record(NULL::${table}, $1::json))`)
  const key = keyColumns.map((name) => `t.${name}`).join(', ')
  const last = keyColumns.map((name) => `'${name}', (array_agg(${name}))[count(*)]`).join(', ')
  const { rows } = await tx.query<DigestPage>(
    `SELECT count(*) AS rows, sha256(convert_to(string_agg(octet_length(row) || ':' || row, ''), 'UTF8')) AS hash,
       CASE WHEN count(*) > 0 THEN json_build_object(${last})::text END AS last
     FROM (SELECT t::text AS row, ${key} FROM ${table} t ${after === null ? '' : `WHERE (${key}) > (${parts.join(', ')})`}
       ORDER BY ${key} LIMIT ${digestPageRows}) page`,
    after === null ? [] : [after],
  )
  return rows[0]
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
