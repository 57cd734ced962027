/**
 * The Confluent-compatible schema registry of the distributed profile. `pf3 topics apply` registers; a service only looks
 * up, and from then on needs the registry for nothing but versions that it has never met.
 *
 *   subject = <topic>-<full name of the record>, one per event type; compatibility FULL_TRANSITIVE
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { threadId } from 'node:worker_threads'
import { COMPATIBILITY, SchemaRegistry as RegistryClient, SchemaType } from '@kafkajs/confluent-schema-registry'
import { parseEventSchema, subjectOf } from '../../schemas/avro-schema.ts'
import { type EventName, type SchemaRegistry, writerIdOf } from '../../schemas/codec.ts'
import { streamOf } from '../../schemas/events.generated.ts'
import { type Clock, within } from '../clock.ts'
import { PlatformError } from '../errors.ts'
import { tlsVersionMin } from '../tls.ts'

export type RegistryConnection = {
  /** With the path of its Confluent API, where that is not the root. */
  url: string
  /** PEM of its certificate's authority, where the system does not know it. */
  ca?: string
  login?: { username: string; password: string }
}

export type SchemaChange = { subject: string; kind: 'register' | 'refuse'; problem?: string }

export type RegistryParts = { connection: RegistryConnection; prefix: string; own: OwnSchemas; clock: Clock }

export type LearningRegistry = SchemaRegistry & {
  /**
   * Makes the schemas of these records known, each id asked for once. Throws REGISTRY_UNAVAILABLE when one is new and the
   * registry does not answer; an id that it does not know either stays unknown.
   */
  learn(values: readonly Uint8Array[]): Promise<void>
  /** Asks for one of this build's schemas. Throws REGISTRY_UNAVAILABLE. */
  check(): Promise<void>
}

const askMsMax = 5_000
const retry = { initialRetryTimeInSecs: 0.05, maxRetryTimeInSecs: 1, factor: 0.2, multiplier: 2, retries: 3 }

type OwnSchemas = ReadonlyMap<EventName, string>

const subjectFor = (prefix: string, name: EventName, schema: string): string =>
  subjectOf(`${prefix}${streamOf[name]}`, parseEventSchema(schema))

type Asking = <Result>(run: Promise<Result>, doing: string) => Promise<Result>
type Client = { registry: RegistryClient; rawById: Map<number, string>; asked: Asking }

function clientOf({ url, ca, login }: RegistryConnection, clock: Clock): Client {
  const rawById = new Map<number, string>()
  const agent = url.startsWith('https:')
    ? new HttpsAgent({ keepAlive: true, minVersion: tlsVersionMin, ...(ca !== undefined && { ca }) })
    : new HttpAgent({ keepAlive: true })
  const registry = new RegistryClient({
    host: url,
    agent,
    retry,
    ...(login && { auth: login }),
    middlewares: [
      // The library keeps of a schema what it needs itself; PF-3 decodes, and needs all of its text.
      () => ({
        async response(next) {
          const answer = await next()
          const id = /\/schemas\/ids\/(\d+)$/.exec(answer.request().path())?.[1]
          const body: unknown = id === undefined ? undefined : answer.data()
          if (typeof body === 'object' && body !== null && 'schema' in body && typeof body.schema === 'string')
            rawById.set(Number(id), body.schema)
          return answer
        },
      }),
    ],
  })
  return { registry, rawById, asked: askedWithin(clock) }
}

/** What the registry says no with, and not that it cannot, or does not know who asks. */
const refusals = [404, 409, 422]

const isRefusal = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name.startsWith('ConfluentSchemaRegistry') ||
    ('status' in error && typeof error.status === 'number' && refusals.includes(error.status)))

/** Rejects with REGISTRY_UNAVAILABLE when nothing is answered in time, or that it cannot now. */
const askedWithin =
  (clock: Clock): Asking =>
  async (run, doing) => {
    try {
      return await within(clock, run, askMsMax, () => new Error(`no answer within ${askMsMax} ms`))
    } catch (error) {
      if (isRefusal(error)) throw error
      const cause = error instanceof Error ? error.message : String(error)
      throw new PlatformError('REGISTRY_UNAVAILABLE', { doing, cause }, { cause: error })
    }
  }

/** What `applySchemas` would do. Changes nothing. Throws REGISTRY_UNAVAILABLE. */
export async function diffSchemas({ connection, prefix, own, clock }: RegistryParts): Promise<SchemaChange[]> {
  const client = clientOf(connection, clock)
  const found = await Promise.all(
    [...own].map(async ([name, schema]): Promise<SchemaChange[]> => {
      const subject = subjectFor(prefix, name, schema)
      return (await idOf(client, subject, schema)) === undefined ? [{ subject, kind: 'register' }] : []
    }),
  )
  return found.flat()
}

/**
 * Registers this build's schemas, each under its subject, which it sets to FULL_TRANSITIVE. What is registered already
 * stays as it is. Throws SCHEMA_INCOMPATIBLE when the registry refuses one, or a subject has another compatibility: those
 * before it are registered then. Throws REGISTRY_UNAVAILABLE.
 */
export async function applySchemas(parts: RegistryParts): Promise<SchemaChange[]> {
  const { connection, prefix, own, clock } = parts
  const { registry, asked } = clientOf(connection, clock)
  const changes = await diffSchemas(parts)
  for (const [name, schema] of own) {
    const subject = subjectFor(prefix, name, schema)
    try {
      await asked(
        registry.register({ type: SchemaType.AVRO, schema }, { subject, compatibility: COMPATIBILITY.FULL_TRANSITIVE }),
        `registering ${subject}`,
      )
    } catch (error) {
      if (!isRefusal(error)) throw error
      const problem = error instanceof Error ? error.message : String(error)
      throw new PlatformError('SCHEMA_INCOMPATIBLE', { subject, problem }, { cause: error })
    }
  }
  return changes
}

async function idOf({ registry, asked }: Client, subject: string, schema: string): Promise<number | undefined> {
  try {
    return await asked(
      registry.getRegistryIdBySchema(subject, { type: SchemaType.AVRO, schema }),
      `looking up ${subject}`,
    )
  } catch (error) {
    if (isRefusal(error)) return undefined // It knows the subject or the schema not yet.
    throw error
  }
}

type Known = { id: number; name: EventName; schema: string }

/**
 * Looks up the ids of this build's schemas. What was learned is kept in `file`, so that a start needs no registry when
 * nothing is new. Throws SCHEMA_UNKNOWN when a schema is not registered, REGISTRY_UNAVAILABLE when one has to be looked up
 * and cannot.
 */
export async function openRegistry(
  { connection, prefix, own, clock }: RegistryParts,
  file: string,
): Promise<LearningRegistry> {
  const client = clientOf(connection, clock)
  const scope = `${connection.url} ${prefix}`
  const byId = new Map((await readKnown(file, scope)).map((known) => [known.id, known]))
  const ownIds = new Map<EventName, number>()
  for (const { id, name, schema } of byId.values()) if (own.get(name) === schema) ownIds.set(name, id)

  const missing = [...own].filter(([name]) => !ownIds.has(name))
  const unregistered: string[] = []
  await Promise.all(
    missing.map(async ([name, schema]) => {
      const id = await idOf(client, subjectFor(prefix, name, schema), schema)
      if (id === undefined) return void unregistered.push(subjectFor(prefix, name, schema))
      ownIds.set(name, id)
      byId.set(id, { id, name, schema })
    }),
  )
  if (unregistered.length > 0)
    throw new PlatformError('SCHEMA_UNKNOWN', {
      problem: `not registered: ${unregistered.sort().join(', ')}. pf3 topics apply registers them`,
    })
  if (missing.length > 0) await writeKnown(file, scope, [...byId.values()])

  const learning = new Map<number, Promise<void>>()
  async function learnId(id: number): Promise<void> {
    try {
      await client.asked(client.registry.getSchema(id), `learning schema ${id}`)
    } catch (error) {
      if (!isRefusal(error)) throw error
      return // Nobody knows it: whoever decodes says so.
    }
    const schema = client.rawById.get(id)
    const name = schema === undefined ? undefined : parseEventSchema(schema).name
    if (schema === undefined || name === undefined || !isEventName(name)) return
    byId.set(id, { id, name, schema })
    await writeKnown(file, scope, [...byId.values()])
  }

  return {
    idOf(name) {
      const id = ownIds.get(name)
      if (id === undefined) throw new PlatformError('SCHEMA_UNKNOWN', { name })
      return id
    },
    schemaOf: (id) => byId.get(id),
    async check() {
      const [name, schema] = own.entries().next().value ?? []
      if (name && schema !== undefined) await idOf(client, subjectFor(prefix, name, schema), schema)
    },
    async learn(values) {
      for (const id of new Set(values.map(writerIdOf))) {
        if (id === undefined || byId.has(id)) continue
        const known = learning.get(id) ?? learnId(id).finally(() => learning.delete(id))
        learning.set(id, known)
        await known
      }
    },
  }
}

const isEventName = (name: string): name is EventName => Object.hasOwn(streamOf, name)

/** Ids belong to one registry: what was learned from another is not believed. */
async function readKnown(file: string, scope: string): Promise<Known[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return []
  try {
    const kept = JSON.parse(text) as { scope: string; known: Known[] }
    if (kept.scope !== scope) return []
    return kept.known.filter(({ id, name, schema }) => Number.isInteger(id) && parseEventSchema(schema).name === name)
  } catch {
    return [] // It is looked up again.
  }
}

let drafts = 0

async function writeKnown(file: string, scope: string, known: readonly Known[]): Promise<void> {
  // Several write at once: threads of a process, and in each of them the readers of its partitions.
  const draft = `${file}.${process.pid}.${threadId}.${drafts++}.draft`
  try {
    await writeFile(draft, `${JSON.stringify({ scope, known }, null, 2)}\n`, { mode: 0o600 })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
