/**
 * Worker thread: one PGlite behind a UNIX socket, so that its WebAssembly never holds up the thread that serves
 * requests, and so that the ordinary `pg` driver speaks to it, from this process and from others.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { openTemplate } from './pglite-template.ts'

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

const options: PGliteOptions = input.filesDir === undefined ? {} : { dataDir: input.filesDir }
const template = input.isNew ? await openTemplate() : undefined
const db = await PGlite.create(template === undefined ? options : { ...options, loadDataDir: template })

// The socket server swallows a crash of PGlite and then answers nobody; ending the thread cuts all connections instead.
const execProtocolRawStream = db.execProtocolRawStream.bind(db)
db.execProtocolRawStream = (message, streamOptions) =>
  execProtocolRawStream(message, streamOptions).catch((error: unknown) => {
    setImmediate(() => {
      throw error
    })
    throw error
  })

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
