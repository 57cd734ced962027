/** The whole service in one process for tests: real database, log, owner, views and engines behind a real HTTP door. */
import { createHash } from 'node:crypto'
import { capabilityNamed } from '../../capabilities/index.ts'
import { type Clock, systemClock as clock, systemRandom as random } from '../../platform/clock.ts'
import { embeddedLog } from '../../platform/log/embedded.ts'
import { withHandOver } from '../../platform/log/hand-over.ts'
import type { Log } from '../../platform/log/log.ts'
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { inProcessRelay } from '../../platform/relay/relay.ts'
import { snapshotMigrations, snapshotStore } from '../../platform/snapshots/snapshots.ts'
import { type Level, messages } from '../../platform/telemetry/messages.ts'
import { tokenUseMigrations } from '../../platform/token-use/token-use.ts'
import { freshContents } from '../../platform/vault/fresh-content.ts'
import { masterKeyFrom } from '../../platform/vault/master-key.ts'
import { payloadVault, type StoredPayloadVault, vaultMigrations } from '../../platform/vault/payload-vault.ts'
import { starterBookJson } from '../../pricing/index.ts'
import { isAnchorDate, isTimeZone, periodAt, startOwner } from '../../processors/index.ts'
import { submissionMigrations } from '../../producers/index.ts'
import { memoryCodec } from '../../producers/testing/rig.ts'
import { projectionMigrations } from '../../projections/index.ts'
import { startProjections } from '../../projections/runner.ts'
import {
  localProvider,
  openAiCompatibleProvider,
  type ScriptedProvider,
  startScriptedProvider,
} from '../../providers/index.ts'
import { type Api, type ApiOptions, startApi } from '../index.ts'
import { limitDefaults } from '../limits/limits.ts'
import { type Client, clientOf } from './client.ts'

export const rootToken = 'pf3_root-for-tests'
export const rootTokenHash = createHash('sha256').update(rootToken).digest('hex')

export type Service = {
  api: Api
  url: string
  /** The platform's administrator, who justifies whatever it does in a tenant. */
  root: Client
  as(token: string): Client
  database: EmbeddedDatabase
  vault: StoredPayloadVault
  /** The vault of another process, whose clock is another. */
  vaultAt(clock: Clock): StoredPayloadVault
  log: Log
  scripted: ScriptedProvider
  /** What was logged at level warn and above. */
  logged: { level: Level; context: object; message: string }[]
  /** Another door of the same service. */
  openDoor(options?: Partial<ApiOptions>): Promise<{ api: Api; url: string }>
  stop(): Promise<void>
}

export async function startService(options: Partial<ApiOptions> = {}): Promise<Service> {
  const database = await openEmbeddedDatabase()
  const relay = inProcessRelay()
  const codec = memoryCodec
  await migrate(database, [
    ...vaultMigrations,
    ...snapshotMigrations,
    ...tokenUseMigrations,
    ...submissionMigrations,
    ...projectionMigrations(),
  ])
  const log = withHandOver(await embeddedLog({ database, partitionCount: 2, clock, relay }), { clock })
  const masterKey = masterKeyFrom(new Uint8Array(32).fill(9))
  const vault = payloadVault({ database, masterKey, clock, random })
  const fresh = freshContents(clock)
  const scripted = await startScriptedProvider()
  const providers = [
    localProvider({ threads: 1, cacheBytesMax: 64 * 1_048_576 }),
    openAiCompatibleProvider({ name: 'scripted', baseUrl: scripted.baseUrl, apiKey: 'none', models: ['scripted-1'] }),
  ]
  const logged: Service['logged'] = []
  const note = (level: Level, message: string, context: object) =>
    void (['warn', 'error', 'fatal'].includes(level) && logged.push({ level, context, message }))
  const owner = await startOwner({
    log,
    codec,
    clock,
    random,
    vault,
    fresh,
    providers,
    capabilityNamed,
    snapshots: snapshotStore(database),
    options: {
      limits: { places: { local: 4, remote: 64 }, attemptMsMax: 30_000, retryBaseMs: 20, retryMsMax: 100 },
      attemptsMax: 3,
      openJobsPerTenantMax: 10_000,
      openJobsPerPartitionMax: 100_000,
      weightOf: () => 1,
      requestsPerBatchMax: 500,
      rollupWaitMs: 50,
      snapshotEveryFacts: 1_000_000n,
      drainMsMax: 1_000,
      reacquireWaitMs: 50,
    },
    onFault: ({ error, doing }) => note('error', `owner: ${doing}`, { error }),
  })
  const views = await startProjections({
    log,
    codec,
    database,
    relay,
    clock,
    onFailure: ({ error }) => note('error', 'views', { error }),
  })
  const openDoor = async (more: Partial<ApiOptions> = {}) => {
    const api = await startApi({
      port: 0,
      host: '127.0.0.1',
      database,
      log,
      codec,
      vault,
      fresh,
      masterKey,
      relay,
      clock,
      random,
      providers,
      rootTokenHash,
      logger: (message, context = {}) => note(messages[message].level, message, context),
      calendar: { periodAt, isTimeZone, isAnchorDate },
      limits: { ...limitDefaults, workingMax: 10_000, perTenantMax: 1_000_000, failuresPerAddressMax: null },
      readiness: () => ({ isReady: owner.isReady(), waitingFor: owner.isReady() ? [] : ['owner'], degraded: [] }),
      ...options,
      ...more,
    })
    return { api, url: `http://127.0.0.1:${api.port}` }
  }
  const { api, url } = await openDoor()
  const root = clientOf(url, rootToken, { 'X-PF3-Justification': 'set-up of a test' })
  return {
    api,
    url,
    root,
    database,
    vault,
    vaultAt: (other) => payloadVault({ database, masterKey, clock: other, random }),
    log,
    scripted,
    logged,
    openDoor,
    as: (token) => clientOf(url, token),
    async stop() {
      await api.stop()
      await views.stop()
      await owner.stop()
      fresh.close()
      await Promise.all(providers.map((provider) => provider.close()))
      await scripted.close()
      await log.close()
      await database.close()
    },
  }
}

export const starterBook = (): object => JSON.parse(starterBookJson()) as object

/** A tenant with one token of every role a tenant has; the starter book is published first when it is not yet. */
export async function openTenant(
  { root, as }: Service,
  id: string,
  more: { level?: string; parentId?: string; timeZone?: string } = {},
) {
  await root.post('/v1/price-books', starterBook()).then((r) => r.expect(201))
  const tenant = { id, level: 'client', name: `Tenant ${id}`, currency: 'USD', timeZone: 'UTC', ...more }
  await root.post('/v1/tenants', tenant).then((r) => r.expect(201))
  const issue = async (role: string, memberId?: string) =>
    (await root.post(`/v1/tenants/${id}/tokens`, { role, ...(memberId !== undefined && { memberId }) })).expect(201)[
      'token'
    ] as string
  const [admin, submitter, reader] = await Promise.all([issue('tenant-admin'), issue('submitter'), issue('reader')])
  return {
    id,
    issue,
    admin: as(admin),
    submitter: as(submitter),
    reader: as(reader),
    tokens: { admin, submitter, reader },
  }
}
