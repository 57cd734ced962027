/**
 * The log on tables of a relational database: PGlite on the embedded default, or a PostgreSQL server. Order, fencing
 * and atomicity come from row locks and transactions; what is acknowledged is as durable as that database.
 */
import { readFile } from 'node:fs/promises'
import { type FactStream, factStreams, platformTenantId } from '../../schemas/streams.ts'
import { batcher } from '../batcher.ts'
import type { Clock } from '../clock.ts'
import { isFailure, PlatformError } from '../errors.ts'
import type { Database } from '../postgres/database.ts'
import { migrate } from '../postgres/migrate.ts'
import { inProcessRelay, type Relay, topic } from '../relay/relay.ts'
import { appendCallsBy } from './append-calls.ts'
import { appended } from './appended.ts'
import { type BacklogLimits, backlog, backlogDefaults } from './backlog.ts'
import {
  advance,
  checkCommit,
  checkPartition,
  checkRead,
  checkSizes,
  recordBytesMaxDefault,
  type Shape,
} from './checks.ts'
import {
  type Committed,
  type FactRecord,
  type IntakeRecord,
  type Log,
  type Position,
  type ReadOptions,
  type StoredDirectoryFact,
  type StoredFact,
  type StoredRequest,
  startOfFacts,
  type Tenure,
} from './log.ts'
import { pack } from './pack.ts'
import { partitionOf } from './partitioner.ts'
import { type Ends, tails } from './tails.ts'

export type EmbeddedLogOptions = Partial<BacklogLimits> & {
  /** Shared with others; `close` leaves it open. */
  database: Database
  /** Fixed when the log is created; another number is refused with LOG_PARTITIONS_FIXED. */
  partitionCount: number
  clock: Clock
  /** Carries wake-ups between logs on the same database, so that their readers need not wait for the next look. */
  relay?: Relay
  /** Between two looks for what other processes wrote, while somebody waits; default 50 ms, at least 1. */
  pollMs?: number
  /** Largest record value; default 1,000,000 bytes. */
  recordBytesMax?: number
}

const pollMsDefault = 50
/** One transaction of appends carries at most this much; more calls share the next. */
const appendRecordsMax = 2_000
const appendBytesMax = 4 * 1024 * 1024
/** One commit, in bytes of its values. */
const commitBytesMax = 64 * 1024 * 1024
/** One answer of a read stops here, but never before its first record. */
const readBytesMax = 8 * 1024 * 1024
/** Of requests that wait in memory for the reader of their partition. */
const appendedBytesMax = 1024 * 1024

const endsTopic = topic('log-ends')

/** Whether a log was ever opened there. Changes nothing. */
export async function hasEmbeddedLog(database: Database): Promise<boolean> {
  const { rows } = await database.asOwner((tx) =>
    tx.query<{ is_there: boolean }>(`SELECT to_regclass('log_shape') IS NOT NULL AS is_there`),
  )
  return rows[0]?.is_there === true
}

/** Creates the tables when they are missing. Throws DATABASE_UNAVAILABLE, MIGRATION_CHANGED, LOG_PARTITIONS_FIXED. */
export async function embeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const { database, partitionCount, clock, relay = inProcessRelay() } = options
  const { waitingRecordsMax = backlogDefaults.waitingRecordsMax, waitingBytesMax = backlogDefaults.waitingBytesMax } =
    options
  const shape: Shape = { partitionCount, recordBytesMax: options.recordBytesMax ?? recordBytesMaxDefault }
  const directoryHome = partitionOf(platformTenantId, partitionCount)
  await createTables(database, partitionCount)

  let isClosed = false
  const checkOpen = () => {
    if (isClosed) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the log is closed' })
  }
  const known = tails({ clock, pollMs: options.pollMs ?? pollMsDefault, look })
  const stopListening = relay.listen(endsTopic, (message) => {
    const { partition, ends } = message as Growth
    known.note(partition, ends)
  })
  await look()

  async function look(): Promise<void> {
    const rows = await ask<EndsRow>('SELECT partition, intake_end, seq, directory_end FROM log_ends')
    for (const row of rows) {
      const directoryEnd = row.partition === directoryHome ? row.directory_end : 0n
      known.note(row.partition, { intakeEnd: row.intake_end, seq: row.seq, directoryEnd })
    }
  }

  /** Own readers wake at once, those of other logs by the relay. */
  function tell(partition: number, ends: Partial<Ends>): void {
    known.note(partition, ends)
    relay.publish(endsTopic, { partition, ends } satisfies Growth)
  }

  /** Each is one statement, sent with its COMMIT: what finds something wrong has written nothing. */
  async function ask<Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    checkOpen()
    try {
      const { rows } = await database.asService((tx) => tx.last.query<Row>(text, values))
      return rows
    } catch (error) {
      throw toLogError(error)
    }
  }

  const waiting = backlog({ waitingRecordsMax, waitingBytesMax })
  const fresh = appended(appendedBytesMax)

  const appendBatched = batcher(
    appendCallsBy({ recordsMax: appendRecordsMax, bytesMax: appendBytesMax }, appendChunk),
    { itemsMax: appendRecordsMax, waitingMax: waitingRecordsMax },
  )

  async function appendChunk(records: readonly IntakeRecord[]): Promise<Position[]> {
    const byPartition = new Map<number, IntakeRecord[]>()
    const partitions: number[] = []
    const ranks = records.map((record) => {
      const partition = partitionOf(record.key, partitionCount)
      const before = byPartition.get(partition) ?? []
      byPartition.set(partition, before)
      partitions.push(partition)
      return BigInt(before.push(record) - 1)
    })
    const { starts, lengths, packed } = pack(records.map((record) => record.value))
    const keys = records.map((record) => record.key)
    const rows = await ask<{ of_partition: number; first_offset: bigint }>(
      'SELECT of_partition, first_offset FROM log_append($1, $2, $3, $4, $5, $6, $7, $8)',
      [
        [...byPartition.keys()],
        [...byPartition.values()].map(({ length }) => BigInt(length)),
        partitions,
        ranks,
        keys,
        starts,
        lengths,
        packed,
      ],
    )
    const firsts = new Map(rows.map((row) => [row.of_partition, row.first_offset]))
    for (const [partition, of] of byPartition) {
      const first = firsts.get(partition) ?? 0n
      fresh.note(partition, first, of)
      tell(partition, { intakeEnd: first + BigInt(of.length) })
    }
    return partitions.map((partition, index) => ({
      partition,
      offset: (firsts.get(partition) ?? 0n) + (ranks[index] ?? 0n),
    }))
  }

  /** What `find` finds; when the known end says that there is nothing yet, it waits for that to change first. */
  async function read<Item>(
    isThere: () => boolean,
    find: () => Promise<Item[]>,
    readOptions: ReadOptions,
  ): Promise<Item[]> {
    checkRead(readOptions)
    checkOpen()
    if (readOptions.waitMs > 0 && !(await known.wait(isThere, readOptions))) return []
    return readOptions.signal?.aborted ? [] : find()
  }

  async function endsOf(partition: number): Promise<EndsRow> {
    checkPartition(partition, shape)
    const rows = await ask<EndsRow>('SELECT * FROM log_ends WHERE partition = $1', [partition])
    const found = rows[0]
    if (!found) throw new PlatformError('LOG_GAP', { partition, problem: 'the partition has no row' })
    return found
  }

  async function acquire(partition: number): Promise<Tenure> {
    checkPartition(partition, shape)
    const rows = await ask<TenureRow>('SELECT epoch, intake_offset, seq, fact_ends FROM log_acquire($1)', [partition])
    const row = rows[0]
    if (!row) throw new PlatformError('LOG_GAP', { partition, problem: 'the partition has no row' })
    const { epoch } = row
    let ends = endsFromRow(row.fact_ends)
    let committed: Committed = { intakeOffset: row.intake_offset, seq: row.seq }
    let state: 'alive' | 'committing' | 'dead' = 'alive'

    async function write(facts: readonly FactRecord[], intakeOffset: bigint): Promise<void> {
      const newEnds = { ...ends }
      const offsets = facts.map(({ stream }) => {
        const offset = newEnds[stream]
        newEnds[stream] = offset + 1n
        return offset
      })
      const { starts, lengths, packed } = pack(facts.map((fact) => fact.value))
      if (packed.byteLength > commitBytesMax)
        throw new PlatformError('LOG_RECORD_TOO_LARGE', { bytes: packed.byteLength, commitBytesMax })
      const [answer] = await ask<{ wrong: string | null }>(
        'SELECT log_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS wrong',
        [
          partition,
          epoch,
          committed.seq,
          intakeOffset,
          endsToRow(newEnds),
          facts.map((fact) => fact.stream),
          offsets,
          facts.map((fact) => fact.key),
          starts,
          lengths,
          packed,
        ],
      )
      const wrong = answer?.wrong
      if (wrong === 'fenced') throw new PlatformError('LOG_FENCED', { partition, epoch })
      if (wrong) throw new PlatformError('LOG_GAP', { partition, wrong, seq: committed.seq, intakeOffset })
      ends = newEnds
      committed = { intakeOffset, seq: facts.at(-1)?.seq ?? committed.seq }
      if (facts.length > 0)
        tell(partition, {
          seq: committed.seq,
          ...(partition === directoryHome ? { directoryEnd: ends.directory } : {}),
        })
    }

    return {
      partition,
      get committed() {
        return committed
      },
      async commit(facts, intakeOffset) {
        if (state === 'dead')
          throw new PlatformError('LOG_FENCED', { partition, epoch, problem: 'the tenure has ended' })
        if (state === 'committing')
          throw new PlatformError('INTERNAL', { partition, problem: 'a commit is under way already' })
        checkCommit(partition, facts, intakeOffset, committed, shape)
        state = 'committing'
        try {
          await write(facts, intakeOffset)
          if (state === 'committing') state = 'alive' // Not when it was released meanwhile.
          return ends
        } catch (error) {
          // Refused before anything was sent, or rolled back: as before. Otherwise only the database knows.
          const isRefused = isFailure(error, 'LOG_GAP', 'LOG_RECORD_TOO_LARGE')
          if (state === 'committing') state = isRefused ? 'alive' : 'dead'
          if (isRefused || isFailure(error, 'LOG_FENCED')) throw error
          throw new PlatformError('LOG_COMMIT_UNKNOWN', { partition, epoch }, { cause: error })
        }
      },
      announce: () => undefined,
      async release() {
        state = 'dead'
      },
    }
  }

  return {
    ...shape,
    sharesPartitions: false,
    async append(records) {
      checkSizes(records, shape)
      if (records.length === 0) return []
      return waiting.during(records, () => appendBatched(records))
    },
    async readIntake(partition, offset, readOptions) {
      checkPartition(partition, shape)
      const requests = await read(
        () => known.of(partition).intakeEnd > offset,
        async () => {
          const handed = readOptions.waitMs > 0 ? fresh.take(partition, offset, readOptions.recordsMax) : []
          return handed.length > 0 ? handed : findRequests(partition, offset, readOptions)
        },
        readOptions,
      )
      requests.forEach((request, index) => {
        if (request.offset !== offset + BigInt(index))
          throw new PlatformError('LOG_GAP', { partition, expected: offset + BigInt(index), found: request.offset })
      })
      return requests
    },
    async readFacts(partition, cursor, readOptions) {
      checkPartition(partition, shape)
      const facts = await read(
        () => known.of(partition).seq > cursor.seq,
        () => findFacts(partition, cursor.seq, readOptions),
        readOptions,
      )
      return { facts, cursor: advance(partition, cursor, facts) }
    },
    readDirectory: (offset, readOptions) =>
      read(
        () => known.of(directoryHome).directoryEnd > offset,
        () => findDirectory(offset, readOptions),
        readOptions,
      ),
    directoryEnd: async () => (await endsOf(directoryHome)).directory_end,
    async committed(partition) {
      const { intake_offset, seq } = await endsOf(partition)
      return { intakeOffset: intake_offset, seq }
    },
    intakeEnd: async (partition) => (await endsOf(partition)).intake_end,
    async join(listener) {
      // The embedded profile is one process: it gets everything, and nothing is taken away but by the fence.
      for (let partition = 0; partition < partitionCount; partition++) listener.gained(partition)
      return async () => undefined
    },
    acquire,
    async close() {
      isClosed = true
      stopListening()
      await known.close()
    },
  }

  async function findRequests(
    partition: number,
    offset: bigint,
    { recordsMax }: ReadOptions,
  ): Promise<StoredRequest[]> {
    const rows = await ask<{ record_offset: bigint; key: string; value: Buffer }>(
      bounded('record_offset, key, value', 'log_intake', 'partition = $1 AND record_offset >= $2', 'record_offset'),
      [partition, offset, recordsMax, readBytesMax],
    )
    return rows.map(({ record_offset, key, value }) => ({ offset: record_offset, key, value }))
  }

  async function findFacts(partition: number, afterSeq: bigint, { recordsMax }: ReadOptions): Promise<StoredFact[]> {
    const rows = await ask<FactRow>(
      bounded('seq, stream, record_offset, key, value', 'log_fact', 'partition = $1 AND seq > $2', 'seq'),
      [partition, afterSeq, recordsMax, readBytesMax],
    )
    return rows.map(({ seq, stream, record_offset, key, value }) => ({
      seq,
      stream,
      offset: record_offset,
      key,
      value,
    }))
  }

  async function findDirectory(offset: bigint, { recordsMax }: ReadOptions): Promise<StoredDirectoryFact[]> {
    const rows = await ask<FactRow>(
      bounded(
        'seq, record_offset, value',
        'log_fact',
        "stream = 'directory' AND $1::int IS NOT NULL AND record_offset >= $2",
        'record_offset',
      ),
      [directoryHome, offset, recordsMax, readBytesMax],
    )
    return rows.map(({ seq, record_offset, value }) => ({ offset: record_offset, seq, value }))
  }
}

type Growth = { partition: number; ends: Partial<Ends> }
type EndsRow = { partition: number; intake_end: bigint; intake_offset: bigint; seq: bigint; directory_end: bigint }
type TenureRow = { epoch: bigint; intake_offset: bigint; seq: bigint; fact_ends: Record<string, string> }
type FactRow = { seq: bigint; stream: FactStream; record_offset: bigint; key: string; value: Buffer }

/** At most $3 records and, but for the first, $4 bytes. */
const bounded = (columns: string, table: string, where: string, order: string): string => `
  SELECT ${columns} FROM (
    SELECT ${columns}, sum(length(value)) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - length(value) AS before
    FROM (SELECT ${columns} FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT $3) AS wanted
  ) AS counted WHERE before < $4 ORDER BY ${order}`

async function createTables(database: Database, partitionCount: number): Promise<void> {
  const sql = await readFile(new URL('./tables.sql', import.meta.url), 'utf8')
  await migrate(database, [{ name: 'log-1-tables', sql }])
  const found = await database.asOwner(async (tx) => {
    await tx.query('INSERT INTO log_shape (partition_count) VALUES ($1) ON CONFLICT DO NOTHING', [partitionCount])
    const { rows } = await tx.query<{ partition_count: number }>('SELECT partition_count FROM log_shape')
    const count = rows[0]?.partition_count
    if (count === partitionCount) {
      for (const table of ['log_tenure', 'log_intake_end']) {
        await tx.query(
          `INSERT INTO ${table} (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING`,
          [partitionCount],
        )
      }
    }
    return count
  })
  if (found !== partitionCount) throw new PlatformError('LOG_PARTITIONS_FIXED', { found, wanted: partitionCount })
}

function endsFromRow(row: Record<string, string>): Record<FactStream, bigint> {
  const ends = { ...startOfFacts.offsets }
  for (const stream of factStreams) ends[stream] = BigInt(row[stream] ?? '0')
  return ends
}

const endsToRow = (ends: Record<FactStream, bigint>): string =>
  JSON.stringify(Object.fromEntries(factStreams.map((stream) => [stream, ends[stream].toString()])))

/** Classes of SQLSTATE that pass by themselves or by hand: rollbacks, resources (a full disk), shutdown. */
const passingStates = /^(40|53|57)/

function toLogError(error: unknown): unknown {
  if (isFailure(error, 'DATABASE_UNAVAILABLE'))
    return new PlatformError('LOG_UNAVAILABLE', { cause: error.message }, { cause: error })
  if (error instanceof PlatformError || !(error instanceof Error)) return error
  const state = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const code = passingStates.test(state) ? 'LOG_UNAVAILABLE' : 'INTERNAL'
  return new PlatformError(code, { cause: error.message, state }, { cause: error })
}
