/**
 * Worker thread: one PGlite behind a UNIX socket, so that its WebAssembly never holds up the thread that serves
 * requests, and so that the ordinary `pg` driver speaks to it, from this process and from others.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { openTemplate } from './pglite-template.ts'
import { plannerSetting } from './statistics.ts'
import { runWholeStatements } from './whole-statements.ts'

export type WorkerInput = {
  /** Where PGlite keeps its files; absent for a database in memory. */
  filesDir?: string
  isNew: boolean
  socketPath: string
  /** Clients at once, of this process and others. */
  connectionsMax: number
  /** A client that is silent for so long is cut off, so that one frozen in a transaction does not stop all others for ever. */
  silenceMs: number
}

if (parentPort === null) throw new Error('This file runs as a worker thread.')
const port = parentPort
const input = workerData as WorkerInput

// What is recycled of the write-ahead log between checkpoints, so that a busy hour does not stay on disk for ever.
const settings = ['min_wal_size=32MB', 'max_wal_size=128MB', plannerSetting]
const startParams = [...PGlite.defaultStartParams, ...settings.flatMap((setting) => ['-c', setting])]
const options: PGliteOptions = input.filesDir === undefined ? { startParams } : { startParams, dataDir: input.filesDir }
const template = input.isNew ? await openTemplate() : undefined
const db = await PGlite.create(template === undefined ? options : { ...options, loadDataDir: template })

// PGlite takes every way out of its main loop for an ordinary error and calls it again, also after a panic (a full disk)
// or a fatal error, and then spins for ever. Ending the thread cuts all connections and is noticed.
const ordinaryError = 100
const postgres: { _PostgresMainLoopOnce: () => void } = db.Module
const mainLoopOnce = postgres._PostgresMainLoopOnce
postgres._PostgresMainLoopOnce = () => {
  try {
    mainLoopOnce()
  } catch (error) {
    const isOrdinary = error instanceof Object && 'status' in error && error.status === ordinaryError
    if (!isOrdinary) process.exit(1)
    throw error
  }
}

runWholeStatements(db)
const server = new PGLiteSocketServer({
  db,
  path: input.socketPath,
  maxConnections: input.connectionsMax,
  idleTimeout: input.silenceMs,
})
await server.start()
port.once('message', async () => {
  await server.stop()
  await db.close()
  port.postMessage('closed')
  port.close()
})
port.postMessage('open')
