/**
 * The database of the embedded default: PGlite in a worker thread behind a UNIX socket. It has PostgreSQL's rules and
 * survives the death of the process at any point; it does not wait for the disk, so not the loss of power.
 *
 * PGlite is one session that all connections share. The socket server gives a connection the session to itself only while a
 * transaction is open; that is why every statement runs in one, begun and ended by the simple protocol, and why settings
 * are SET LOCAL. A thread wakes the other with every answer that is waited for, which takes as long as a statement: so a
 * transaction is sent as far as it is known, and there is another one behind it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Clock, systemClock } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import { exists } from '../exists.ts'
import { lockDataDir, lockHolder } from './data-dir-lock.ts'
import type { Database } from './database.ts'
import { rolesSql } from './isolation.ts'
import type { WorkerInput } from './pglite-worker.ts'
import { type PoolOptions, poolDefaults, pooledDatabase } from './pooled-database.ts'
import { readRunFile, removeRunFile, writeRunFile } from './run-file.ts'
import { keepStatistics } from './statistics.ts'

export type EmbeddedOptions = {
  /** Where everything is kept, created when missing; without it the database is in memory and ends with `close`. */
  dataDir?: string
  /** Only the times of upkeep depend on it; default the system's. */
  clock?: Clock
  /** See PoolOptions; default 30 s. */
  connectWaitMs?: number
  /** See PoolOptions; default 60 s. */
  statementWaitMs?: number
}

export type EmbeddedDatabase = Database & {
  /** Directory of the UNIX socket, open to this user only. */
  readonly socketDir: string
  /** Resolves when PGlite has died by itself; every call then reports DATABASE_UNAVAILABLE. */
  readonly lost: Promise<PlatformError>
}

/** The longest socket path that every system takes (macOS: 104 bytes with the closing zero). */
const socketPathBytesMax = 103
const port = 5432
const socketName = `.s.PGSQL.${port}`
const socketDirPrefix = 'pf3-'
const connectionsMax = 64
/** Of the service itself: while one waits for the end of its transaction, the next one is there already. */
const ownConnections = 2
/** A client frozen in a transaction (a command stopped by Ctrl-Z) holds up everybody, but no longer than this. */
const silenceMs = 120_000
/** Shorter than the silence allowed, which also counts while a statement runs. */
const ownerStatementWaitMs = 110_000
const closeWaitMs = 30_000
const upkeepEveryMs = 15_000
const walBytesMax = 64n * 1024n * 1024n

/**
 * Opens the database. Throws DATA_DIR_LOCKED when another process has it open, and DATABASE_UNAVAILABLE when PGlite
 * does not start. While it is open, `connectToRunning` finds it from other processes of the same user.
 */
export async function openEmbeddedDatabase(options: EmbeddedOptions = {}): Promise<EmbeddedDatabase> {
  const { dataDir, clock = systemClock, connectWaitMs, statementWaitMs } = options
  const undo: (() => Promise<void>)[] = []
  const undoAll = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    let files: Files = { isNew: true, markReady: async () => undefined }
    if (dataDir !== undefined) {
      undo.push(await lockDataDir(dataDir))
      await removeLeftovers(dataDir)
      files = await prepareFiles(dataDir)
    }
    const socketDir = await makeSocketDir()
    undo.push(() => rm(socketDir, { recursive: true, force: true }))
    const worker = await startWorker({
      ...(files.dir === undefined ? {} : { filesDir: files.dir }),
      isNew: files.isNew,
      socketPath: join(socketDir, socketName),
      connectionsMax,
      silenceMs,
    })
    undo.push(worker.stop)
    await files.markReady()
    const waits = {
      ...(connectWaitMs === undefined ? {} : { connectWaitMs }),
      ...(statementWaitMs === undefined ? {} : { statementWaitMs }),
    }
    const database = connectToSocket(socketDir, { ...waits, poolMax: ownConnections, preparesStatements: true })
    undo.push(database.close)
    await database.asOwner((tx) => tx.query(rolesSql))
    undo.push(keepUp(database, clock), keepStatistics(database, clock))
    if (dataDir !== undefined) {
      await writeRunFile(dataDir, { pid: process.pid, socketDir })
      undo.push(() => removeRunFile(dataDir))
    }
    let closing: Promise<void> | undefined
    return { ...database, socketDir, lost: worker.lost, close: () => (closing ??= undoAll()) }
  } catch (error) {
    await undoAll()
    throw error
  }
}

/**
 * Connects to the service that has `dataDir` open, in whatever process; undefined when there is none. Closing the
 * returned database leaves the service alone. A transaction here holds up the service until it ends.
 */
export async function connectToRunning(dataDir: string): Promise<Database | undefined> {
  const [run, holder] = await Promise.all([readRunFile(dataDir), lockHolder(dataDir)])
  if (!run || run.pid !== holder?.pid) return undefined
  return (await exists(join(run.socketDir, socketName))) ? connectToSocket(run.socketDir) : undefined
}

/** Whether `dataDir` has a database that was ever opened, whoever has it open now. */
export const hasEmbeddedDatabase = async (dataDir: string): Promise<boolean> =>
  (await exists(filesDir(dataDir))) && !(await exists(initialisingMark(dataDir)))

/** For a process that knows the socket. One connection by default: PGlite does one thing at a time, and a second one would only wait where it holds others up. */
export const connectToSocket = (
  socketDir: string,
  options: Pick<Partial<PoolOptions>, 'connectWaitMs' | 'statementWaitMs' | 'poolMax' | 'preparesStatements'> = {},
): Database =>
  pooledDatabase({
    ...poolDefaults,
    ownerStatementWaitMs,
    poolMax: 1,
    preparesStatements: false,
    ...options,
    connection: { host: socketDir, port, user: 'postgres', database: 'postgres', password: '', ssl: false },
    hasSessions: false,
  })

type Files = { dir?: string; isNew: boolean; markReady: () => Promise<void> }

/** An initialisation that was cut short is begun again; the mark that says so is older than any row could be. */
async function prepareFiles(dataDir: string): Promise<Files> {
  const dir = filesDir(dataDir)
  const mark = initialisingMark(dataDir)
  if (await exists(mark)) await rm(dir, { recursive: true, force: true })
  const isNew = !(await exists(dir))
  if (isNew) {
    await writeFile(mark, '', { mode: 0o600 })
    await mkdir(dir, { mode: 0o700 })
  }
  return { dir, isNew, markReady: () => rm(mark, { force: true }) }
}

const filesDir = (dataDir: string): string => join(resolve(dataDir), 'postgres')
const initialisingMark = (dataDir: string): string => join(dataDir, 'initialising')

/** What a killed process left behind; only called while this process holds the lock. */
async function removeLeftovers(dataDir: string): Promise<void> {
  const left = await readRunFile(dataDir)
  if (!left) return
  const isOurs =
    basename(left.socketDir).startsWith(socketDirPrefix) && socketParents().includes(dirname(left.socketDir))
  if (isOurs) await rm(left.socketDir, { recursive: true, force: true })
  await removeRunFile(dataDir)
}

const socketParents = (): string[] => [tmpdir(), '/tmp']

/** PGlite's socket asks nobody for a password, so its directory must be closed to others: mkdtemp makes it 0700. */
async function makeSocketDir(): Promise<string> {
  const parent = socketParents().find(
    (dir) => Buffer.byteLength(join(dir, `${socketDirPrefix}XXXXXX`, socketName)) <= socketPathBytesMax,
  )
  return mkdtemp(join(parent ?? '/tmp', socketDirPrefix))
}

type RunningWorker = { stop: () => Promise<void>; lost: Promise<PlatformError> }

function startWorker(workerData: WorkerInput): Promise<RunningWorker> {
  // Flags of the parent (--input-type, loaders) are not the worker's.
  const worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData, execArgv: [] })
  let isStopping = false
  const exited = new Promise<PlatformError>((resolve) => {
    let cause: unknown
    worker.once('error', (error) => (cause = error))
    worker.once('exit', (exitCode) => {
      const facts = { problem: 'PGlite ended', exitCode, cause: cause === undefined ? undefined : String(cause) }
      resolve(new PlatformError('DATABASE_UNAVAILABLE', facts, { cause }))
    })
  })
  const lost = new Promise<PlatformError>((report) => exited.then((error) => (isStopping ? undefined : report(error))))
  const stop = async () => {
    isStopping = true
    const giveUp = setTimeout(() => worker.terminate(), closeWaitMs)
    worker.postMessage('close')
    await exited
    clearTimeout(giveUp)
  }
  return new Promise((started, failed) => {
    void exited.then(failed)
    worker.once('message', () => started({ stop, lost }))
  })
}

/**
 * PGlite has no background processes: nobody checkpoints, so the write-ahead log would grow, and with it the time to
 * reopen after a kill (600,000 rows: 273 MB). Returns what stops it.
 */
function keepUp(database: Database, clock: Clock): () => Promise<void> {
  let cancel = clock.after(upkeepEveryMs, tick)
  let checkpointAt: string | undefined
  let running = Promise.resolve()

  function tick() {
    // A failure here is nobody's answer; whoever uses the database meets it, too.
    running = checkpoint()
      .catch(() => undefined)
      .then(() => {
        if (!isStopped) cancel = clock.after(upkeepEveryMs, tick)
      })
  }
  let isStopped = false

  const checkpoint = () =>
    database.asOwner(async (tx) => {
      const { rows } = await tx.query<{ now: string; grown: string | null }>(
        'SELECT pg_current_wal_insert_lsn()::text AS now, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn) AS grown',
        [checkpointAt ?? null],
      )
      const here = rows[0]
      if (!here) return
      if (here.grown !== null && BigInt(here.grown) < walBytesMax) return
      await tx.query('CHECKPOINT')
      checkpointAt = here.now
    })

  return async () => {
    isStopped = true
    cancel()
    await running
  }
}
