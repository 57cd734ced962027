/** What every command stands on: database, log and codec. The service opens the data directory; commands borrow it. */
import { join, resolve } from 'node:path'
import { systemClock } from '../platform/clock.ts'
import { embeddedLog, hasEmbeddedLog } from '../platform/log/embedded.ts'
import { withHandOver } from '../platform/log/hand-over.ts'
import type { Log } from '../platform/log/log.ts'
import { makeDir } from '../platform/make-dir.ts'
import { lockDataDir } from '../platform/postgres/data-dir-lock.ts'
import type { Database } from '../platform/postgres/database.ts'
import { connectToRunning, hasEmbeddedDatabase, openEmbeddedDatabase } from '../platform/postgres/embedded.ts'
import { compareMigrations } from '../platform/postgres/migrate.ts'
import { connectToPostgres, openPostgres } from '../platform/postgres/postgres.ts'
import { inProcessRelay, type Relay } from '../platform/relay/relay.ts'
import { type Codec, codecFor, type SchemaRegistry } from '../schemas/codec.ts'
import { readEveryVersion, readOwnSchemas } from '../schemas/own-schemas.ts'
import { schemaRegistryFile } from '../schemas/registry-file.ts'
import { type Config, ConfigError } from './config.ts'
import type { KafkaConfig } from './kafka-config.ts'
import type { Rows } from './metrics.ts'
import type { Watched } from './watch.ts'

export type Foundation = {
  database: Database
  log: Log
  codec: Codec
  /** For a codec in another thread: schemas that were learned here. */
  schemaOf: SchemaRegistry['schemaOf']
  relay: Relay
  /** What is reached over a network, besides the brokers, and how to find out whether it answers. */
  outside: readonly Watched[]
  /** Where processes share the partitions: requests that nobody has taken yet, by partition. */
  lag?: (() => Promise<Rows>) | undefined
  /** Rejects never; resolves with the reason when the database has died by itself. */
  lost: Promise<Error>
  close(): Promise<void>
}

const postgresPoolMax = 10
/** Everything that writes is in this process and tells the readers; looking besides is for commands in other processes. */
const pollMs = 250

/** Is told of trouble that the machine has with brokers, and mends. */
type OnNotice = (what: string) => void

/** For the service, which has the data directory to itself on every profile. Throws DATA_DIR_LOCKED when another process has it, and ConfigError when it cannot be made. */
export async function openFoundation(config: Config, onNotice: OnNotice = () => {}): Promise<Foundation> {
  await makeDataDir(config)
  if (config.postgresUrl === undefined) return openEmbedded(config)
  // On Kafka it holds who this process is among the owners: two that shared it would take each other for dead.
  const unlock = await lockDataDir(config.dataDir)
  try {
    const foundation = await openShared(config, config.postgresUrl, onNotice)
    return { ...foundation, close: () => foundation.close().finally(unlock) }
  } catch (error) {
    await unlock()
    throw error
  }
}

/**
 * For commands: beside a running service, through its socket where the database is built in; when none runs, they have the data
 * directory to themselves as a service would. Throws ConfigError where no service has ever started: a command that looks must
 * not make what it looks at.
 */
export async function borrowFoundation(config: Config): Promise<Foundation> {
  if (config.postgresUrl !== undefined) return borrowShared(config, config.postgresUrl)
  const running = await connectToRunning(config.dataDir)
  if (running) return build(config, running, new Promise<Error>(() => {}))
  if (!(await hasEmbeddedDatabase(config.dataDir))) throw noInstallation(config)
  return openEmbedded(config)
}

export const noInstallation = ({ dataDir, postgresUrl }: Config): ConfigError =>
  new ConfigError([
    postgresUrl === undefined
      ? `there is no installation in ${resolve(dataDir)}; PF3_DATA_DIR says where it is`
      : 'there is no installation in the database that PF3_POSTGRES_URL names',
  ])

async function makeDataDir({ dataDir }: Config): Promise<void> {
  try {
    await makeDir(resolve(dataDir))
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`PF3_DATA_DIR: no directory can be had at ${resolve(dataDir)}: ${problem}`])
  }
}

async function openEmbedded(config: Config): Promise<Foundation> {
  const database = await openEmbeddedDatabase({ dataDir: config.dataDir })
  return build(config, database, database.lost)
}

async function openShared(config: Config, url: string, onNotice?: OnNotice): Promise<Foundation> {
  const database = await openPostgres({ url, poolMax: postgresPoolMax })
  return build(config, database, new Promise<Error>(() => {}), onNotice)
}

async function borrowShared(config: Config, url: string): Promise<Foundation> {
  const database = connectToPostgres({ url, poolMax: postgresPoolMax })
  try {
    if (!(await isInstalledIn(database, config))) throw noInstallation(config)
    await makeDataDir(config)
  } catch (error) {
    await database.close()
    throw error
  }
  return build(config, database, new Promise<Error>(() => {}))
}

/** On Kafka the log is elsewhere: there the first start has made other tables. */
const isInstalledIn = async (database: Database, { kafka }: Config): Promise<boolean> =>
  kafka ? !(await compareMigrations(database, [])).isNew : hasEmbeddedLog(database)

async function build(
  config: Config,
  database: Database,
  lost: Promise<Error>,
  onNotice: OnNotice = () => {},
): Promise<Foundation> {
  try {
    const relay = inProcessRelay()
    const opened = config.kafka
      ? await onKafka(config, config.kafka, onNotice)
      : await onDatabase(config, database, relay)
    const { codec, schemaOf, outside, lag, close } = opened
    const log = withHandOver(opened.log, { clock: systemClock })
    return {
      database,
      log,
      codec,
      schemaOf,
      relay,
      outside: [
        ...(config.postgresUrl === undefined
          ? []
          : [{ name: 'postgres' as const, look: () => database.asService((tx) => tx.query('SELECT 1')) }]),
        ...outside,
      ],
      lag,
      lost,
      async close() {
        await close?.()
        await log.close()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

type LogAndCodec = Pick<Foundation, 'log' | 'codec' | 'schemaOf' | 'outside' | 'lag'> & {
  close?: () => Promise<void>
}

async function onDatabase({ dataDir, partitionCount }: Config, database: Database, relay: Relay): Promise<LogAndCodec> {
  const ownSchemas = readOwnSchemas()
  const registry = schemaRegistryFile(join(dataDir, 'schemas.json'), ownSchemas, readEveryVersion())
  return {
    codec: codecFor(registry, ownSchemas),
    schemaOf: registry.schemaOf,
    log: await embeddedLog({ database, partitionCount, clock: systemClock, relay, pollMs }),
    outside: [],
  }
}

async function onKafka(
  { dataDir, partitionCount }: Config,
  kafka: KafkaConfig,
  onNotice: OnNotice,
): Promise<LogAndCodec> {
  const { kafkaLog } = await import('../platform/log/kafka/kafka.ts')
  const { openAdmins } = await import('../platform/log/kafka/admins.ts')
  const { intakeLag } = await import('../platform/log/kafka/lag.ts')
  const { openRegistry } = await import('../platform/registry/registry.ts')
  const own = readOwnSchemas()
  const { topicPrefix: prefix, connection } = kafka
  const registry = await openRegistry(
    { connection: kafka.registry, prefix, own, clock: systemClock },
    join(dataDir, 'registry.json'),
  )
  const log = await kafkaLog({
    connection: { ...connection, onNotice },
    prefix,
    partitionCount,
    clock: systemClock,
    beforeDecoding: registry.learn,
    memberFile: join(dataDir, 'member'),
  })
  const admins = openAdmins(connection, systemClock)
  return {
    log,
    codec: codecFor(registry, own),
    schemaOf: registry.schemaOf,
    outside: [{ name: 'registry', look: registry.check }],
    async lag() {
      const found = await admins.ask((admin) => intakeLag(admin, prefix))
      return found.map(({ partition, requests }) => [partition, Number(requests)] as const)
    },
    close: admins.close,
  }
}
