/** Threads for the local engines, and the line of tasks that wait for one. */
import { Tinypool } from 'tinypool'
import type { Outcome, Task, Work } from './worker.ts'

export type WorkerPool = {
  /** Starts the task when a thread is free. The first task starts the threads. */
  start<Kind extends keyof Work>(task: Extract<Task, { kind: Kind }>): Pending<Work[Kind]['result']>
  /** Ends the threads, also in the middle of a task; what is pending rejects with PoolError. Safe to call twice. */
  close(): Promise<void>
}

export type Pending<Result> = {
  /** Rejects with PoolError when the task was dropped, the line is full or the pool closed; otherwise as the task threw. */
  result: Promise<Result>
  /** Takes the task out of the line; a task that has begun goes on, and false says so. */
  drop(): boolean
}

/** The task never ran, or its thread was taken away: nothing is known against the task itself. */
export class PoolError extends Error {}

/** Tasks that may wait at once. */
const waitingMax = 10_000
/** Short tasks in one message to a thread, when there are so many, and before another thread is given some as well. */
const togetherMax = 64
const togetherMin = 16
/** Characters of their texts, so that nobody waits long for those before it in the same message. */
const togetherUnitsMax = 20_000
/** Characters of a text that takes half as long as the way to a thread and back, which is 0.4 ms to one that sleeps. */
const atOnceUnitsMax = 200

/**
 * Fits take seconds, everything else milliseconds: so at most all threads but one fit at once, and with more than one thread
 * nothing short ever waits for a fit. Our own line rather than the pool's, which ends the whole thread to cancel a task.
 * A message to a thread and back costs as much as a short task does, so those that come in one turn of the event loop, or
 * while the threads are busy, go together; and a text that is very short and alone is answered without a thread.
 */
export function workerPool({ threads }: { threads: number }): WorkerPool {
  /** `no`: how many tasks came before it. */
  type Waiting = { no: number; task: Task; settle: { resolve(result: unknown): void; reject(reason: unknown): void } }
  const lines = { short: new Set<Waiting>(), fit: new Set<Waiting>() }
  const running = { short: 0, fit: 0 }
  const fitsMax = Math.max(1, threads - 1)
  let pool: Tinypool | undefined
  /** What threads run, for this one: loaded with them, or every process would begin with the lexicons of engines it may never use. */
  let runHere: ((tasks: readonly Task[]) => Outcome[]) | undefined
  let started = 0
  let isDue = false
  let isClosed = false

  const lineOf = (task: Task) => (task.kind === 'fit' ? 'fit' : 'short')

  function next(): void {
    isDue = false
    while (!isClosed && running.short + running.fit < threads) {
      const [fit] = lines.fit
      const [short] = lines.short
      if (short && runHere && isAlone(short)) {
        lines.short.delete(short)
        settleAll([short], runHere([short.task]))
      } else if (fit && running.fit < fitsMax && (!short || (running.fit === 0 && fit.no < short.no))) {
        lines.fit.delete(fit)
        void begin([fit], 'fit')
      } else if (short) void begin(takeShort(running.fit === 0 ? fit : undefined), 'short')
      else return
    }
  }

  const isAlone = ({ task }: Waiting): boolean =>
    'text' in task &&
    task.text.length <= atOnceUnitsMax &&
    lines.short.size === 1 &&
    lines.fit.size + running.short + running.fit === 0

  function startedPool(): Tinypool {
    if (pool) return pool
    void import('./worker.ts').then(({ run }) => (runHere = run))
    pool = newPool(threads, () => (pool = undefined))
    return pool
  }

  function settleAll(together: readonly Waiting[], outcomes: readonly Outcome[]): void {
    for (const [index, { settle }] of together.entries()) {
      const outcome = outcomes[index]
      if (outcome?.ok) settle.resolve(outcome.result)
      else settle.reject(outcome?.error)
    }
  }

  /** The first of the line that may go in one message; what came after `fit`, whose turn is next, waits for its own. */
  function takeShort(fit: Waiting | undefined): Waiting[] {
    const countMax = Math.min(togetherMax, Math.max(togetherMin, Math.ceil(lines.short.size / threads)))
    const taken: Waiting[] = []
    let units = 0
    for (const waiting of lines.short) {
      units += 'text' in waiting.task ? waiting.task.text.length : 0
      const hasRoom = taken.length < countMax && units <= togetherUnitsMax && (!fit || waiting.no < fit.no)
      if (taken.length > 0 && !hasRoom) break
      lines.short.delete(waiting)
      taken.push(waiting)
    }
    return taken
  }

  async function begin(together: readonly Waiting[], kind: 'short' | 'fit'): Promise<void> {
    running[kind] += 1
    try {
      settleAll(together, (await startedPool().run(together.map(({ task }) => task))) as Outcome[])
    } catch (error) {
      const met = isClosed ? new PoolError('The pool was closed.', { cause: error }) : error
      for (const { settle } of together) settle.reject(met)
    }
    running[kind] -= 1
    next()
  }

  return {
    start<Kind extends keyof Work>(task: Extract<Task, { kind: Kind }>): Pending<Work[Kind]['result']> {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const line = lines[lineOf(task)]
      const waiting: Waiting = { no: started++, task, settle: { resolve, reject } }
      if (isClosed) reject(new PoolError('The pool was closed.'))
      else if (line.size >= waitingMax) reject(new PoolError(`${waitingMax} tasks are waiting already.`))
      else line.add(waiting)
      if (task.kind === 'fit') next()
      else if (!isDue) {
        isDue = true
        setImmediate(next)
      }
      return {
        result: promise as Promise<Work[Kind]['result']>, // What worker.ts answers to a task of this kind.
        drop() {
          if (!line.delete(waiting)) return false
          reject(new PoolError('The task was dropped.'))
          return true
        },
      }
    },
    async close() {
      isClosed = true
      for (const line of Object.values(lines)) {
        for (const { settle } of line) settle.reject(new PoolError('The pool was closed.'))
        line.clear()
      }
      const used = pool
      pool = undefined
      await used?.destroy()
    },
  }
}

function newPool(threads: number, onDeath: () => void): Tinypool {
  const pool = new Tinypool({
    filename: new URL('./worker.ts', import.meta.url).href,
    name: 'run',
    runtime: 'worker_threads',
    minThreads: threads,
    maxThreads: threads,
    execArgv: [], // Flags of the process, such as those of a test runner, are not for threads.
  })
  pool.on('error', () => {
    onDeath()
    void pool.destroy()
  })
  return pool
}
