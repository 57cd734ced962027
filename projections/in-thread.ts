/**
 * The views in a thread of their own, for a process that also decides or serves: to make rows of facts is a fifth of what a
 * job costs, and would be done by the one thread that does all the rest.
 *
 *   here: log, relay, schemas  ── facts, packed ──▶  thread: decode → rows → database of its own
 *                              ◀── what became readable, health, failures ──
 *
 * The facts come from the log of this process, and so from memory where it is the owner that wrote them.
 */
import { PlatformError } from '../platform/errors.ts'
import { arrived } from '../platform/threads/crossing-error.ts'
import { startThread } from '../platform/threads/threads.ts'
import type { SchemaRegistry } from '../schemas/codec.ts'
import { packFacts } from './facts-packed.ts'
import { factsMaxDefault, type ProjectionHealth, type ProjectionParts, type Projections } from './runner.ts'
import type { ViewsHome, ViewsThread, ViewsThreadData } from './thread.ts'

export type InThreadParts = Pick<ProjectionParts, 'log' | 'relay' | 'onFailure' | 'factsMax'> & {
  /** Of the database in which the views are. */
  postgresUrl: string
  schemaOf: SchemaRegistry['schemaOf']
  /** Default: the views' own. */
  file?: URL
}

const viewsThread = new URL('./thread.ts', import.meta.url)
/** V8 counts three semi-spaces to it: each as large as `npm start` makes that of the process. */
const youngGenerationMb = 3 * 64

/**
 * As `startProjections`; what it throws, and what a failure tells, is what it was in the thread. `health` is a fifth of a
 * second old at most. When the thread dies, `onFailure` hears of it as of something that stands still: every partition
 * does then.
 */
export async function startProjectionsInThread(parts: InThreadParts): Promise<Projections> {
  const { log, relay, onFailure, postgresUrl, schemaOf, factsMax = factsMaxDefault, file = viewsThread } = parts
  const stopping = new AbortController()
  let health: ProjectionHealth[] = []
  const home: ViewsHome = {
    readFacts: async (partition, cursor, options) =>
      packFacts(await log.readFacts(partition, cursor, { ...options, signal: stopping.signal })),
    committed: log.committed,
    schemaOf,
    published(messages) {
      try {
        for (const [topic, message] of messages) relay.publish(topic, message)
      } catch (error) {
        onFailure({ error, isStopped: false }) // The rows are written; who waits finds them a little later.
      }
    },
    health(told) {
      health = told
    },
    failed: (failure, error) => onFailure({ ...failure, error: arrived(error) }),
  }
  const data: ViewsThreadData = { postgresUrl, factsMax, partitionCount: log.partitionCount }
  const { call, ended } = startThread<ViewsThread>(file, home, {
    workerData: data,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  })
  async function stop(): Promise<void> {
    const stopped = call.stop()
    stopping.abort()
    await stopped.catch(() => undefined) // It answers when it can; that it has ended is all that counts.
    await ended
  }
  try {
    await call.start()
  } catch (error) {
    await stop()
    throw error
  }
  void ended.then((error) => {
    health = health.map((one) => ({ ...one, phase: 'stopped' }))
    if (!stopping.signal.aborted) onFailure({ error, isStopped: true })
  })
  return {
    stop,
    health: () => health,
    async caughtUp(partition, seq, waitMs) {
      if (stopping.signal.aborted) throw new PlatformError('NOT_READY', { partition, wanted: seq })
      await call.caughtUp(partition, seq, waitMs)
    },
  }
}
