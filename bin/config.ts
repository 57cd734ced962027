/** Configuration: read once, in bin/, every complaint at once. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isBearerToken, tokenCharsMax } from '../platform/bearer-token.ts'
import { postgresUrlComplaint } from '../platform/postgres/connection.ts'
import { isTlsUrl, redisUrlComplaint } from '../platform/redis/connection.ts'
import { urlComplaint } from '../platform/safe-url.ts'
import { isLoopback } from '../platform/tls.ts'
import { type KafkaConfig, kafkaFrom } from './kafka-config.ts'
import { type Option, type OptionName, options } from './options.ts'

type Env = Readonly<Record<string, string | undefined>>

export type Config = {
  host: string
  port: number
  /** `terminated`: a proxy ends it. */
  tls: { certFile: string; keyFile: string } | 'terminated' | undefined
  dataDir: string
  postgresUrl: string | undefined
  redis: { url: string; caFile: string | undefined } | undefined
  /** Undefined on the embedded profile. */
  kafka: KafkaConfig | undefined
  masterKeyFile: string
  partitionCount: number
  rootToken: string | undefined
  oidc: { issuer: string; audience: string; jwksUrl: string | undefined; allowsPlatformAdmin: boolean } | undefined
  logLevel: string
  localThreads: number
  places: { local: number; remote: number }
  scripted: { baseUrl: string; apiKey: string; models: string[] } | undefined
  attemptsMax: number
  attemptMsMax: number
  retryBaseMs: number
  retryMsMax: number
  openJobsPerTenantMax: number
  openJobsPerPartitionMax: number
  limits: {
    workingMax: number
    openMax: number
    perTenantMax: number
    openPerTenantMax: number
    failuresPerAddressMax: number | null
  }
  contentDaysDefault: number
  tenantWeights: ReadonlyMap<string, number>
  rollupWaitMs: number
  snapshotEveryFacts: bigint
  shutdownWaitMs: number
}

/** Wrong configuration: says everything that is wrong, and what was expected. */
export class ConfigError extends Error {
  constructor(complaints: readonly string[]) {
    super(`Configuration:\n- ${complaints.join('\n- ')}`)
    this.name = 'ConfigError'
  }
}

const rootTokenCharsMin = 32

/** The environment wins over the JSON file that PF3_CONFIG_FILE names. Throws ConfigError. */
export function readConfig(env: Env): Config {
  const wrong: string[] = []
  const file = readFile(env.PF3_CONFIG_FILE, wrong)
  const given: Env = {
    ...file,
    ...Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== '')),
  }
  for (const name of Object.keys(given)) {
    const isOurs = name.startsWith('PF3_') || Object.hasOwn(file, name)
    if (isOurs && name !== 'PF3_CONFIG_FILE' && !options.some((o) => o.name === name)) {
      wrong.push(`${name}: there is no such option; see docs/reference/config.md`)
    }
  }
  const text = (name: OptionName): string => given[name] ?? options.find((o) => o.name === name)?.fallback ?? ''
  const maybe = (name: OptionName): string | undefined => (text(name) === '' ? undefined : text(name))
  const whole = (name: OptionName): number => {
    const option: Option | undefined = options.find((o) => o.name === name)
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = option ?? {}
    const value = Number(text(name))
    if (!/^\d+$/.test(text(name)) || value < min || value > max)
      wrong.push(`${name}: a whole number from ${min} to ${max} was expected, not ${JSON.stringify(text(name))}`)
    return value
  }
  for (const option of options) {
    if (option.form === 'choice' && !(option.choices as readonly string[]).includes(text(option.name))) {
      wrong.push(
        `${option.name}: one of ${option.choices.join(', ')} was expected, not ${JSON.stringify(text(option.name))}`,
      )
    }
  }
  // Brackets are how a URL writes an IPv6 address, not part of it.
  const host = text('PF3_HOST').replace(/^\[(.*)\]$/, '$1')
  const config: Config = {
    host,
    port: whole('PF3_PORT'),
    tls: tlsFrom(
      {
        host,
        certFile: maybe('PF3_TLS_CERT_FILE'),
        keyFile: maybe('PF3_TLS_KEY_FILE'),
        isTerminated: text('PF3_TLS_TERMINATED') === 'yes',
      },
      wrong,
    ),
    dataDir: text('PF3_DATA_DIR'),
    postgresUrl: maybe('PF3_POSTGRES_URL'),
    redis: redisFrom(maybe('PF3_REDIS_URL'), maybe('PF3_REDIS_CA_FILE'), wrong),
    kafka: kafkaFrom(text('PF3_PROFILE') === 'kafka', maybe, wrong),
    masterKeyFile: maybe('PF3_MASTER_KEY_FILE') ?? join(text('PF3_DATA_DIR'), 'master.key'),
    partitionCount: whole('PF3_PARTITIONS'),
    rootToken: maybe('PF3_ROOT_TOKEN'),
    oidc: oidcFrom(
      {
        issuer: maybe('PF3_OIDC_ISSUER'),
        audience: maybe('PF3_OIDC_AUDIENCE'),
        jwksUrl: maybe('PF3_OIDC_JWKS_URL'),
        allowsPlatformAdmin: text('PF3_OIDC_PLATFORM_ADMIN') === 'yes',
      },
      wrong,
    ),
    logLevel: text('PF3_LOG_LEVEL'),
    localThreads: whole('PF3_LOCAL_THREADS'),
    places: { local: whole('PF3_LOCAL_PLACES'), remote: whole('PF3_REMOTE_PLACES') },
    scripted: scriptedFrom(maybe('PF3_SCRIPTED_URL'), maybe('PF3_SCRIPTED_KEY'), text('PF3_SCRIPTED_MODELS'), wrong),
    attemptsMax: whole('PF3_ATTEMPTS_MAX'),
    attemptMsMax: whole('PF3_ATTEMPT_MS_MAX'),
    retryBaseMs: whole('PF3_RETRY_BASE_MS'),
    retryMsMax: whole('PF3_RETRY_MS_MAX'),
    openJobsPerTenantMax: whole('PF3_OPEN_JOBS_PER_TENANT'),
    openJobsPerPartitionMax: whole('PF3_OPEN_JOBS_PER_PARTITION'),
    limits: {
      workingMax: whole('PF3_WORKING_REQUESTS'),
      openMax: whole('PF3_OPEN_REQUESTS'),
      perTenantMax: whole('PF3_REQUESTS_PER_TENANT'),
      openPerTenantMax: whole('PF3_OPEN_REQUESTS_PER_TENANT'),
      failuresPerAddressMax: text('PF3_TLS_TERMINATED') === 'yes' ? null : whole('PF3_FAILED_CREDENTIALS') || null,
    },
    contentDaysDefault: whole('PF3_CONTENT_DAYS'),
    tenantWeights: weightsFrom(text('PF3_TENANT_WEIGHTS'), wrong),
    rollupWaitMs: whole('PF3_ROLLUP_WAIT_MS'),
    snapshotEveryFacts: BigInt(Math.trunc(whole('PF3_SNAPSHOT_EVERY_FACTS')) || 0),
    shutdownWaitMs: whole('PF3_SHUTDOWN_WAIT_MS'),
  }
  if (config.rootToken !== undefined) wrong.push(...rootTokenComplaints(config.rootToken))
  const complaint = config.postgresUrl === undefined ? undefined : postgresUrlComplaint(config.postgresUrl)
  if (complaint !== undefined) wrong.push(`PF3_POSTGRES_URL: ${complaint}`)
  if (config.retryMsMax < config.retryBaseMs) wrong.push('PF3_RETRY_MS_MAX: must be at least PF3_RETRY_BASE_MS')
  if (wrong.length > 0) throw new ConfigError(wrong)
  return config
}

function readFile(path: string | undefined, wrong: string[]): Env {
  if (path === undefined || path === '') return {}
  try {
    const parsed = jsonFrom(readFileSync(path, 'utf8'))
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      throw new Error('it is not a JSON object')
    return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]))
  } catch (error) {
    wrong.push(`PF3_CONFIG_FILE: ${path} cannot be used: ${error instanceof Error ? error.message : error}`)
    return {}
  }
}

/** Undefined where it is none: the parser's own complaint quotes the file, and so the secrets in it. */
function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function rootTokenComplaints(token: string): string[] {
  if (token.length < rootTokenCharsMin)
    return [`PF3_ROOT_TOKEN: at least ${rootTokenCharsMin} characters were expected, it has ${token.length}`]
  if (isBearerToken(token)) return []
  return [
    `PF3_ROOT_TOKEN: at most ${tokenCharsMax} printable ASCII characters without spaces were expected: no other is taken as a bearer token`,
  ]
}

function scriptedFrom(
  baseUrl: string | undefined,
  apiKey: string | undefined,
  models: string,
  wrong: string[],
): Config['scripted'] {
  if (baseUrl === undefined) {
    if (apiKey !== undefined) wrong.push('PF3_SCRIPTED_KEY: goes with PF3_SCRIPTED_URL, which is not set')
    return undefined
  }
  const complaint = urlComplaint(baseUrl)
  if (complaint !== undefined) wrong.push(`PF3_SCRIPTED_URL: ${complaint}`)
  const named = models
    .split(',')
    .map((model) => model.trim())
    .filter((model) => model !== '')
  if (named.length === 0) wrong.push('PF3_SCRIPTED_MODELS: at least one model was expected')
  return { baseUrl, apiKey: apiKey ?? 'none', models: named }
}

type TlsGiven = { host: string; certFile: string | undefined; keyFile: string | undefined; isTerminated: boolean }

function tlsFrom({ host, certFile, keyFile, isTerminated }: TlsGiven, wrong: string[]): Config['tls'] {
  if (certFile === undefined && keyFile !== undefined)
    wrong.push('PF3_TLS_KEY_FILE: goes with PF3_TLS_CERT_FILE, which is not set')
  if (certFile !== undefined && keyFile === undefined)
    wrong.push('PF3_TLS_CERT_FILE: goes with PF3_TLS_KEY_FILE, which is not set')
  if (certFile !== undefined && isTerminated)
    wrong.push('PF3_TLS_TERMINATED: either a proxy ends TLS, or PF3_TLS_CERT_FILE is set')
  if (certFile === undefined && !isTerminated && !isLoopback(host))
    wrong.push(
      `PF3_HOST: outside loopback TLS is needed: set PF3_TLS_CERT_FILE and PF3_TLS_KEY_FILE, or PF3_TLS_TERMINATED=yes when a proxy ends it`,
    )
  if (isTerminated) return 'terminated'
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile }
}

function redisFrom(url: string | undefined, caFile: string | undefined, wrong: string[]): Config['redis'] {
  if (url === undefined) {
    if (caFile !== undefined) wrong.push('PF3_REDIS_CA_FILE: goes with PF3_REDIS_URL, which is not set')
    return undefined
  }
  const complaint = redisUrlComplaint(url)
  if (complaint !== undefined) wrong.push(`PF3_REDIS_URL: ${complaint}`)
  else if (caFile !== undefined && !isTlsUrl(url))
    wrong.push('PF3_REDIS_CA_FILE: goes with rediss://, which PF3_REDIS_URL does not begin with')
  return { url, caFile }
}

type OidcGiven = {
  issuer: string | undefined
  audience: string | undefined
  jwksUrl: string | undefined
  allowsPlatformAdmin: boolean
}

function oidcFrom({ issuer, audience, jwksUrl, allowsPlatformAdmin }: OidcGiven, wrong: string[]): Config['oidc'] {
  if (issuer === undefined) {
    const alone = [
      audience !== undefined && 'PF3_OIDC_AUDIENCE',
      jwksUrl !== undefined && 'PF3_OIDC_JWKS_URL',
      allowsPlatformAdmin && 'PF3_OIDC_PLATFORM_ADMIN',
    ].filter((name) => name !== false)
    for (const name of alone) wrong.push(`${name}: goes with PF3_OIDC_ISSUER, which is not set`)
    return undefined
  }
  if (audience === undefined)
    wrong.push('PF3_OIDC_AUDIENCE: goes with PF3_OIDC_ISSUER: without it, JWTs meant for others would do')
  for (const [name, url] of [
    ['PF3_OIDC_ISSUER', issuer],
    ['PF3_OIDC_JWKS_URL', jwksUrl],
  ] as const) {
    const complaint = url === undefined ? undefined : urlComplaint(url)
    if (complaint !== undefined) wrong.push(`${name}: ${complaint}`)
  }
  return { issuer, audience: audience ?? '', jwksUrl, allowsPlatformAdmin }
}

function weightsFrom(text: string, wrong: string[]): Map<string, number> {
  const weights = new Map<string, number>()
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [tenantId = '', weight = ''] = pair.split('=').map((part) => part.trim())
    if (tenantId === '' || !/^[1-9]\d{0,2}$/.test(weight))
      wrong.push(`PF3_TENANT_WEIGHTS: tenant=1..999 was expected, not ${JSON.stringify(pair)}`)
    else weights.set(tenantId, Number(weight))
  }
  return weights
}
