/**
 * A thread and the one that started it call each other's functions; what is thrown comes out as what it was. Arguments and
 * results are cloned as `postMessage` does. Calls of one side arrive in the order they were made.
 */
import { once } from 'node:events'
import { type MessagePort, parentPort, type ResourceLimits, Worker } from 'node:worker_threads'
import { type BirpcReturn, createBirpc } from 'birpc'
import { arrived, type CrossingError, departing } from './crossing-error.ts'

/** Functions of the other side. `asEvent` of each calls it and hears nothing of what becomes of that. */
export type Calls<Functions extends object> = BirpcReturn<Functions, object>

export type Thread<Functions extends object> = {
  call: Calls<Functions>
  /** Resolves when it is gone, with what it died of or else that it has ended; every call under way is rejected with that. */
  ended: Promise<Error>
}

export type ThreadOptions = { workerData?: unknown; resourceLimits?: ResourceLimits }

/** `file` calls `answerCalls`. The thread goes by itself when that is closed and nothing else holds it. */
export function startThread<Functions extends object>(
  file: URL,
  ours: object,
  options: ThreadOptions = {},
): Thread<Functions> {
  // Flags of the parent (--input-type, loaders) are not the thread's.
  const worker = new Worker(file, { ...options, execArgv: [] })
  const call = callsOver<Functions>(worker, ours)
  const ended = once(worker, 'exit').then(
    ([exitCode]) => new Error(`The thread has ended with ${exitCode}.`),
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))), // `once` rejects with an 'error'.
  )
  void ended.then((error) => call.$close(error))
  return { call, ended }
}

/** Within a thread: answers what it is asked with `ours`. After `close`, nothing is answered any more. */
export function answerCalls<Functions extends object>(ours: object): { call: Calls<Functions>; close(): void } {
  const port = parentPort
  if (port === null) throw new Error('This file runs as a worker thread.')
  return { call: callsOver<Functions>(port, ours), close: () => port.close() }
}

/** As birpc sends them: `e` is what a function threw. */
type Message = { e?: unknown }

const callsOver = <Functions extends object>(port: MessagePort | Worker, ours: object): Calls<Functions> =>
  createBirpc<Functions, object>(ours, {
    post: (message) => port.postMessage(message),
    on: (hear) => void port.on('message', hear),
    serialize: (message: Message) => ('e' in message ? { ...message, e: departing(message.e) } : message),
    deserialize: (message: Message) =>
      'e' in message ? { ...message, e: arrived(message.e as CrossingError) } : message,
    // Some functions wait for as long as there is nothing to say; that a thread is gone is told by its end.
    timeout: -1,
  })
