/** The composition root: puts the parts of the service together, by roles, and takes them apart in reverse order. */
import { healthRoutes, type Readiness, startApi } from '../api/index.ts'
import { capabilityNamed, type Provider } from '../capabilities/index.ts'
import { systemClock as clock, systemRandom as random, sleep } from '../platform/clock.ts'
import { isFailure, PlatformError } from '../platform/errors.ts'
import { migrate } from '../platform/postgres/migrate.ts'
import type { Relay } from '../platform/relay/relay.ts'
import { snapshotStore } from '../platform/snapshots/snapshots.ts'
import type { Logger } from '../platform/telemetry/service-log.ts'
import { type FreshContents, freshContents } from '../platform/vault/fresh-content.ts'
import { payloadVault } from '../platform/vault/payload-vault.ts'
import { parsePriceBook, starterBookJson } from '../pricing/index.ts'
import { isAnchorDate, isTimeZone, type OwnerRole, periodAt, startOwner } from '../processors/index.ts'
import { publishPrices, requestAppender } from '../producers/index.ts'
import { startProjectionsInThread } from '../projections/in-thread.ts'
import { bookInForce } from '../projections/price-books/queries.ts'
import { type ProjectionFailure, type Projections, startProjections } from '../projections/runner.ts'
import { localProvider, openAiCompatibleProvider } from '../providers/index.ts'
import { microsFromMs } from '../schemas/units.ts'
import { readCertificate } from './certificate.ts'
import type { Config } from './config.ts'
import type { Foundation } from './foundation.ts'
import { type Keeper, startKeeper } from './keeper.ts'
import { masterKeyFor } from './master-key.ts'
import { metricsRegistry } from './metrics.ts'
import { serviceMigrations } from './migrations.ts'
import { type SharedRedis, sharedRedis } from './redis.ts'
import type { RoleName } from './roles.ts'
import { type MadeToken, rootToken } from './root-token.ts'
import { serviceUrl } from './service-url.ts'
import { type Watch, type WatchedName, watch } from './watch.ts'

export type Service = {
  /** Where it answers: the API, or without that role whether the process lives, is ready, and its figures. */
  url: string
  /** When it was made just now: whoever shows it has to keep it. */
  rootToken: MadeToken | undefined
  /** Resolves with the reason when a part stands still that only a new process brings back: database, owner or views. */
  lost: Promise<Error>
  /** Reads the certificate's files again; does nothing without them. Throws ConfigError when they are none. */
  renewCertificate(): void
  /** Drains and stops everything, in reverse order of starting. */
  stop(): Promise<void>
}

const readyWaitMs = 60_000
const readyLookMs = 5
const modelCacheBytesMax = 512 * 1_048_576
const requestsPerBatchMax = 500
const reacquireWaitMs = 200

/**
 * Resolves when every role is ready. What was started is stopped again when something fails. `opening` is the
 * foundation, which can be on its way already while the code of this module is loaded.
 */
export async function startService(
  config: Config,
  wanted: readonly RoleName[],
  logger: Logger,
  opening: Promise<Foundation>,
): Promise<Service> {
  const started: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const step of started.splice(0).reverse()) await step()
  }
  try {
    const foundation = await opening
    started.push(foundation.close)
    const loss = lossOf(foundation.lost)
    return { ...(await startRoles(config, wanted, foundation, logger, loss, started)), lost: loss.happened, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The first part that stood still for good, whichever it was. */
type Loss = { happened: Promise<Error>; tell(error: unknown): void; throwIfAny(): void }

function lossOf(database: Promise<Error>): Loss {
  const { promise, resolve } = Promise.withResolvers<Error>()
  let first: Error | undefined
  const tell = (error: unknown) => {
    first ??= error instanceof Error ? error : new Error(String(error))
    resolve(first)
  }
  void database.then(tell)
  return {
    happened: promise,
    tell,
    throwIfAny() {
      if (first) throw first
    },
  }
}

async function startRoles(
  config: Config,
  wanted: readonly RoleName[],
  foundation: Foundation,
  logger: Logger,
  loss: Loss,
  started: (() => Promise<void>)[],
) {
  const { database, log, codec } = foundation
  await migrate(database, serviceMigrations())
  const [token, masterKey] = await Promise.all([
    rootToken(config.rootToken, config.dataDir, random),
    masterKeyFor(config, database),
  ])
  const watches = foundation.outside.map((one) => watch(one, clock, noteChange(logger)))
  for (const { stop } of watches) started.push(stop)
  const redis = await sharedRedis(config.redis, { masterKey, clock, random, logger })
  if (redis) started.push(redis.server.close)
  const relay = relayOf(foundation, wanted, redis)
  const vault = payloadVault({ database, masterKey, clock, random })
  const fresh = wanted.includes('owner') && wanted.includes('api') ? freshContents(clock) : undefined
  if (fresh) started.push(async () => fresh.close())
  const providers = providersFor(config)
  started.push(async () => void (await Promise.all(providers.map((provider) => provider.close()))))

  const running: Running = { isOpen: false, redis, watches }
  const { tls } = config
  const api = await startApi({
    host: config.host,
    port: config.port,
    wire: { tls: typeof tls === 'object' ? readCertificate(tls) : tls },
    database,
    log,
    codec,
    vault,
    ...(fresh && { fresh }),
    relay,
    clock,
    random,
    providers,
    rootTokenHash: token.hash,
    oidc: config.oidc,
    limits: config.limits,
    sharedCounts: redis && { commands: redis.server.commands, prefix: redis.prefix, clock },
    contentDaysDefault: config.contentDaysDefault,
    masterKey,
    calendar: { periodAt, isTimeZone, isAnchorDate },
    logger,
    ...(wanted.includes('api') ? {} : { routes: healthRoutes }),
    isOpen: () => running.isOpen,
    readiness: () => readiness(running),
    registry: metricsRegistry({
      owners: () => running.owner?.health() ?? [],
      intakeEnd: log.intakeEnd,
      lag: foundation.lag,
      views: () => running.views?.health() ?? [],
      redis: redis?.server.health,
      watches,
    }),
  })
  // Answers from now on how far the start is; stopped first all the same, when it comes that far.
  started.push(api.stop)

  const owner = wanted.includes('owner')
    ? await ownerRole(config, foundation, { vault, fresh, providers }, logger, loss)
    : undefined
  if (owner) started.push(owner.stop)
  if (owner) running.owner = owner
  const views = wanted.includes('projections')
    ? await projectionRole(config, wanted, { ...foundation, relay }, logger, loss)
    : undefined
  if (views) started.push(views.stop)
  if (views) running.views = views
  await until(
    () => {
      loss.throwIfAny()
      return owner?.isReady() ?? true
    },
    'the owner',
    () => restoringFacts(owner),
  )
  if (owner) await publishStarterBook(foundation, views !== undefined)
  if (owner) started.push(keeperRole(config, foundation, vault, logger).stop)
  running.isOpen = true
  started.push(api.stop)
  return {
    url: serviceUrl(config, api.port),
    rootToken: token.made,
    renewCertificate() {
      if (typeof tls === 'object') api.renewCertificate(readCertificate(tls))
    },
  }
}

/** Views tell of what they show: a process without them hears of it from others, by Redis or not at all. */
function relayOf({ relay }: Foundation, wanted: readonly RoleName[], redis: SharedRedis | undefined): Relay {
  const local: Relay = wanted.includes('projections') ? relay : { ...relay, hearsAll: () => false }
  return redis ? redis.relay(local) : local
}

type Vault = ReturnType<typeof payloadVault>

const keeperRole = (
  { contentDaysDefault }: Config,
  { database, log, codec }: Foundation,
  vault: Vault,
  logger: Logger,
): Keeper =>
  startKeeper({
    database,
    vault,
    appender: requestAppender({ log, codec, clock, random }),
    clock,
    contentDaysDefault,
    onFault: (error) => logger('content could not be let go', { error }),
  })

function ownerRole(
  config: Config,
  { database, log, codec }: Foundation,
  { vault, fresh, providers }: { vault: Vault; fresh: FreshContents | undefined; providers: readonly Provider[] },
  logger: Logger,
  loss: Loss,
): Promise<OwnerRole> {
  return startOwner({
    log,
    codec,
    clock,
    random,
    vault,
    ...(fresh && { fresh }),
    providers,
    capabilityNamed,
    snapshots: snapshotStore(database),
    options: {
      limits: {
        places: config.places,
        attemptMsMax: config.attemptMsMax,
        retryBaseMs: config.retryBaseMs,
        retryMsMax: config.retryMsMax,
      },
      attemptsMax: config.attemptsMax,
      openJobsPerTenantMax: config.openJobsPerTenantMax,
      openJobsPerPartitionMax: config.openJobsPerPartitionMax,
      weightOf: (tenantId) => config.tenantWeights.get(tenantId) ?? 1,
      requestsPerBatchMax,
      rollupWaitMs: config.rollupWaitMs,
      snapshotEveryFacts: config.snapshotEveryFacts,
      drainMsMax: config.shutdownWaitMs,
      reacquireWaitMs,
    },
    onFault({ partition, error, isStopped, doing }) {
      const isOthers = log.sharesPartitions && isFailure(error, 'LOG_FENCED')
      const what = isOthers ? 'another process owns the partition' : 'the partition stands still'
      logger(isStopped ? what : 'the owner met a fault', { partition, error, doing })
      if (isStopped && !isOthers) loss.tell(error)
    },
  })
}

/** Where processes share the partitions, one that does more than the views keeps them in a thread; a built-in database is one. */
function projectionRole(
  { postgresUrl }: Config,
  wanted: readonly RoleName[],
  { database, log, codec, schemaOf, relay }: Foundation,
  logger: Logger,
  loss: Loss,
): Promise<Projections> {
  const onFailure = ({ partition, seq, error, isStopped }: ProjectionFailure) => {
    logger(isStopped ? 'views stand still' : 'views met a fault', { partition, seq: seq?.toString(), error })
    if (isStopped) loss.tell(error)
  }
  return log.sharesPartitions && postgresUrl !== undefined && wanted.length > 1
    ? startProjectionsInThread({ log, relay, onFailure, postgresUrl, schemaOf })
    : startProjections({ log, codec, database, relay, clock, onFailure })
}

function providersFor(config: Config): Provider[] {
  const local = localProvider({ threads: config.localThreads, cacheBytesMax: modelCacheBytesMax })
  return config.scripted ? [local, openAiCompatibleProvider({ name: 'scripted', ...config.scripted })] : [local]
}

/** A fresh installation can price its first job: the starter book is published when there is none in its currency. */
async function publishStarterBook({ database, log, codec }: Foundation, isShownHere: boolean): Promise<void> {
  const parsed = parsePriceBook(starterBookJson())
  if (!parsed.ok) throw new PlatformError('INTERNAL', { problem: parsed.problems.join('; ') })
  const isThere = async () =>
    (await database.asService((tx) => bookInForce(tx, parsed.book.currency, microsFromMs(clock.nowMs())))) !== undefined
  if (await isThere()) return
  const caller = { actor: 'token:root', correlationId: 'first-start', traceparent: null }
  await publishPrices(requestAppender({ log, codec, clock, random }), caller, {
    hash: parsed.book.hash,
    book: starterBookJson(),
  })
  if (isShownHere) await until(isThere, 'the starter price book')
}

type Running = {
  /** Everything has been started. */
  isOpen: boolean
  owner?: OwnerRole
  views?: Projections
  redis: SharedRedis | undefined
  watches: readonly Watch[]
}

function readiness({ isOpen, owner, views, redis, watches }: Running): Readiness {
  const isAway = (name: WatchedName) => watches.some((one) => one.name === name && !one.isUp())
  const waitingFor = [
    ...(isAway('postgres') ? ['postgres'] : []),
    ...(owner && !owner.isReady() ? ['owner'] : []),
    ...(views?.health().some((view) => view.phase !== 'running') ? ['projections'] : []),
  ]
  if (!isOpen && waitingFor.length === 0) waitingFor.push('start')
  const degraded: Readiness['degraded'] = [
    ...(redis?.server.health().state === 'down' ? (['redis'] as const) : []),
    ...(isAway('registry') ? (['registry'] as const) : []),
  ]
  return { isReady: waitingFor.length === 0, waitingFor, degraded, restoringFacts: restoringFacts(owner) }
}

const restoringFacts = (owner: OwnerRole | undefined): number =>
  owner?.health().reduce((sum, one) => sum + one.restoringFacts, 0) ?? 0

const noteChange =
  (logger: Logger) =>
  (name: WatchedName, isUp: boolean, error?: unknown): void => {
    if (name === 'postgres') logger(isUp ? 'PostgreSQL is back' : 'PostgreSQL is away', { error })
    else logger(isUp ? 'the registry is back' : 'the registry is away', { error })
  }

/** Throws NOT_READY when it is not so after `readyWaitMs` in which `progress` stood still. */
async function until(isSo: () => boolean | Promise<boolean>, what: string, progress = () => 0): Promise<void> {
  let [end, seen] = [clock.nowMs() + readyWaitMs, progress()]
  while (!(await isSo())) {
    if (progress() !== seen) [end, seen] = [clock.nowMs() + readyWaitMs, progress()]
    if (clock.nowMs() > end) throw new PlatformError('NOT_READY', { waitingFor: what, waitedMs: readyWaitMs })
    await sleep(clock, readyLookMs)
  }
}
