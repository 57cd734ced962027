/** Worker thread of `startProjectionsInThread`: keeps the views, with a connection of its own to the database and to nothing else. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../platform/clock.ts'
import type { FactCursor, FactsLog, ReadOptions } from '../platform/log/log.ts'
import { openPostgres } from '../platform/postgres/postgres.ts'
import type { Relay } from '../platform/relay/relay.ts'
import { type CrossingError, departing } from '../platform/threads/crossing-error.ts'
import { answerCalls } from '../platform/threads/threads.ts'
import { requireTls13 } from '../platform/tls.ts'
import { type Codec, codecFor, type SchemaRegistry, writerIdOf } from '../schemas/codec.ts'
import { readOwnSchemas } from '../schemas/own-schemas.ts'
import { type PackedFacts, unpackFacts } from './facts-packed.ts'
import { type ProjectionFailure, type ProjectionHealth, type Projections, startProjections } from './runner.ts'

export type ViewsThreadData = { postgresUrl: string; partitionCount: number; factsMax: number }

/** What the thread asks of the one that started it. */
export type ViewsHome = {
  readFacts(partition: number, cursor: FactCursor, options: Omit<ReadOptions, 'signal'>): Promise<PackedFacts>
  committed: FactsLog['committed']
  schemaOf: SchemaRegistry['schemaOf']
  published(messages: readonly (readonly [topic: string, message: unknown])[]): void
  health(health: ProjectionHealth[]): void
  failed(failure: Omit<ProjectionFailure, 'error'>, error: CrossingError): void
}

export type ViewsThread = typeof answers

const healthEveryMs = 200

requireTls13()
const { postgresUrl, partitionCount, factsMax } = workerData as ViewsThreadData
let views: Projections | undefined
const tellHealth = () => void home.health.asEvent(views?.health() ?? [])
/** Lets go of what `start` has opened, as far as it came. */
let end = async () => {}

const answers = {
  /** Resolves when every view has begun. Throws what `startProjections` and `openPostgres` throw. */
  async start(): Promise<void> {
    const database = await openPostgres({ url: postgresUrl })
    end = () => database.close()
    const { codec, learn } = learningCodec()
    views = await startProjections({
      log: logOfHome(learn),
      codec,
      database,
      relay: relayToHome(),
      clock: systemClock,
      factsMax,
      onFailure({ error, ...failure }) {
        home.failed.asEvent(failure, departing(error))
        tellHealth()
      },
    })
    const { stop } = views
    let cancel = () => {}
    const tellOn = () => {
      tellHealth()
      cancel = systemClock.after(healthEveryMs, tellOn)
    }
    tellOn()
    end = async () => {
      cancel()
      await stop()
      tellHealth()
      await database.close()
    }
  },
  async caughtUp(...asked: Parameters<Projections['caughtUp']>): Promise<void> {
    try {
      await views?.caughtUp(...asked)
    } finally {
      tellHealth()
    }
  },
  async stop(): Promise<void> {
    await end().finally(thread.close)
  },
}

const thread = answerCalls<ViewsHome>(answers)
const home = thread.call

const logOfHome = (learn: (values: readonly Uint8Array[]) => Promise<void>): FactsLog => ({
  partitionCount,
  // The signal stays here: who stops the views ends the waits of the log, too.
  async readFacts(partition, cursor, { recordsMax, waitMs }) {
    const read = unpackFacts(await home.readFacts(partition, cursor, { recordsMax, waitMs }), cursor.seq)
    await learn(read.facts.map(({ value }) => value))
    return read
  },
  committed: (partition) => home.committed(partition),
})

/** Decodes only, and asks for each schema once. */
function learningCodec(): { codec: Codec; learn(values: readonly Uint8Array[]): Promise<void> } {
  const known = new Map<number, ReturnType<SchemaRegistry['schemaOf']>>()
  const registry: SchemaRegistry = {
    idOf(name) {
      throw new Error(`A view was to write ${name}.`)
    },
    schemaOf: (id) => known.get(id),
  }
  return {
    codec: codecFor(registry, readOwnSchemas()),
    async learn(values) {
      for (const id of new Set(values.map(writerIdOf)))
        if (id !== undefined && !known.has(id)) known.set(id, await home.schemaOf(id))
    },
  }
}

/** What becomes readable in one turn crosses as one message. */
function relayToHome(): Pick<Relay, 'publish'> {
  let messages: [topic: string, message: unknown][] = []
  return {
    publish(topic, message) {
      if (messages.push([topic, message]) > 1) return
      queueMicrotask(() => {
        void home.published.asEvent(messages)
        messages = []
      })
    },
  }
}
