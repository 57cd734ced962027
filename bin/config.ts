/** Configuration: read once, in bin/, every complaint at once. The table is also the documentation (docs/reference/config.md). */
import { readFileSync } from 'node:fs'
import { postgresUrlComplaint } from '../platform/postgres/connection.ts'
import { isTlsUrl, redisUrlComplaint } from '../platform/redis/connection.ts'
import { isSafeUrl } from '../platform/safe-url.ts'
import { isLoopback } from '../platform/tls.ts'

type Env = Readonly<Record<string, string | undefined>>

type Option = {
  name: string
  /** How the value is written when nothing is set; null when there is no default. */
  fallback: string | null
  form: 'text' | 'whole' | 'choice' | 'secret'
  /** Unit of a whole number. */
  unit?: string
  min?: number
  max?: number
  choices?: readonly string[]
  means: string
}

export const options = [
  {
    name: 'PF3_PROFILE',
    fallback: 'embedded',
    form: 'choice',
    choices: ['embedded'],
    means: 'Which machine it runs on: `embedded` keeps log and views in one process; `kafka` is not in this build yet.',
  },
  {
    name: 'PF3_HOST',
    fallback: '127.0.0.1',
    form: 'text',
    means: "Address the HTTP server listens on; outside loopback only with TLS, its own or a proxy's.",
  },
  {
    name: 'PF3_PORT',
    fallback: '8080',
    form: 'whole',
    unit: 'port',
    min: 0,
    max: 65_535,
    means: 'Port of the HTTP server; 0 takes a free one.',
  },
  {
    name: 'PF3_TLS_CERT_FILE',
    fallback: null,
    form: 'text',
    means:
      'Certificate of the HTTP server and what links it to its authority, PEM. With it, TLS 1.3 is spoken and nothing else. Read again on SIGHUP.',
  },
  {
    name: 'PF3_TLS_KEY_FILE',
    fallback: null,
    form: 'text',
    means: 'Private key of that certificate, PEM.',
  },
  {
    name: 'PF3_TLS_TERMINATED',
    fallback: 'no',
    form: 'choice',
    choices: ['no', 'yes'],
    means: 'Whether a proxy in front ends TLS (1.3, please): plain text is then spoken outside loopback too.',
  },
  {
    name: 'PF3_DATA_DIR',
    fallback: '.pf3',
    form: 'text',
    means: 'Directory of everything that is kept: database, master key, schema ids.',
  },
  {
    name: 'PF3_POSTGRES_URL',
    fallback: null,
    form: 'secret',
    means:
      'A PostgreSQL server for log and views instead of the built-in one; survives the loss of power as far as that server does. Outside loopback with `sslmode=verify-full` (TLS 1.3), and `sslrootcert=<file>` for an authority of your own.',
  },
  {
    name: 'PF3_REDIS_URL',
    fallback: null,
    form: 'secret',
    means:
      'A Redis server that processes tell each other by what has become readable, and count limits in; without it, or while it is away, they [go on](../reliability.md#what-goes-on-without-a-part). `redis://` on loopback, elsewhere `rediss://` (TLS 1.3).',
  },
  {
    name: 'PF3_REDIS_CA_FILE',
    fallback: null,
    form: 'text',
    means: 'Authority of its certificate where the system does not know it, PEM.',
  },
  {
    name: 'PF3_PARTITIONS',
    fallback: '4',
    form: 'whole',
    unit: 'partitions',
    min: 1,
    max: 256,
    means: 'Partitions of every stream. Fixed when the data directory is first used.',
  },
  {
    name: 'PF3_ROOT_TOKEN',
    fallback: null,
    form: 'secret',
    means:
      'Token of the platform administrator, at least 32 characters. Without it one is made at the first start and shown once.',
  },
  {
    name: 'PF3_OIDC_ISSUER',
    fallback: null,
    form: 'text',
    means:
      'Issuer whose JWTs are credentials besides PF-3 tokens, exactly as in their `iss`; https, or http on loopback. See [identity](../identity.md).',
  },
  {
    name: 'PF3_OIDC_AUDIENCE',
    fallback: null,
    form: 'text',
    means: 'What their `aud` must contain; goes with the issuer.',
  },
  {
    name: 'PF3_OIDC_JWKS_URL',
    fallback: null,
    form: 'text',
    means: "Where the issuer's public keys are; without it, where its discovery document says.",
  },
  {
    name: 'PF3_OIDC_PLATFORM_ADMIN',
    fallback: 'no',
    form: 'choice',
    choices: ['no', 'yes'],
    means: 'Whether the issuer may name platform admins, who reach every tenant.',
  },
  {
    name: 'PF3_LOG_LEVEL',
    fallback: 'info',
    form: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    means: 'Least urgent lines that are written to standard error.',
  },
  {
    name: 'PF3_LOCAL_THREADS',
    fallback: '2',
    form: 'whole',
    unit: 'threads',
    min: 1,
    max: 256,
    means: 'Worker threads of the local engines.',
  },
  {
    name: 'PF3_LOCAL_PLACES',
    fallback: '32',
    form: 'whole',
    unit: 'calls',
    min: 1,
    max: 10_000,
    means: 'Calls to local engines under way at once, per partition.',
  },
  {
    name: 'PF3_REMOTE_PLACES',
    fallback: '64',
    form: 'whole',
    unit: 'calls',
    min: 1,
    max: 10_000,
    means: 'Calls to remote providers under way at once, per partition.',
  },
  {
    name: 'PF3_SCRIPTED_URL',
    fallback: null,
    form: 'text',
    means: 'Base URL of an OpenAI-compatible endpoint, known as provider `scripted`; https, or http on loopback.',
  },
  { name: 'PF3_SCRIPTED_KEY', fallback: null, form: 'secret', means: 'API key for that endpoint.' },
  {
    name: 'PF3_SCRIPTED_MODELS',
    fallback: 'scripted-1',
    form: 'text',
    means: 'Models of that endpoint, separated by commas; the first is the default.',
  },
  {
    name: 'PF3_ATTEMPTS_MAX',
    fallback: '4',
    form: 'whole',
    unit: 'attempts',
    min: 1,
    max: 20,
    means: 'Attempts of a job before it is given up.',
  },
  {
    name: 'PF3_ATTEMPT_MS_MAX',
    fallback: '120000',
    form: 'whole',
    unit: 'ms',
    min: 100,
    max: 3_600_000,
    means: 'Longest call to a provider.',
  },
  {
    name: 'PF3_RETRY_BASE_MS',
    fallback: '250',
    form: 'whole',
    unit: 'ms',
    min: 1,
    max: 60_000,
    means: 'Longest wait before the second attempt; doubles with each further one.',
  },
  {
    name: 'PF3_RETRY_MS_MAX',
    fallback: '30000',
    form: 'whole',
    unit: 'ms',
    min: 1,
    max: 3_600_000,
    means: 'Longest wait before any attempt.',
  },
  {
    name: 'PF3_OPEN_JOBS_PER_TENANT',
    fallback: '50000',
    form: 'whole',
    unit: 'jobs',
    min: 1,
    max: 1_000_000,
    means: 'Admitted jobs of one tenant that have not ended; one more is refused with queue_full.',
  },
  {
    name: 'PF3_OPEN_JOBS_PER_PARTITION',
    fallback: '200000',
    form: 'whole',
    unit: 'jobs',
    min: 1,
    max: 10_000_000,
    means: 'The same for all tenants of a partition together: bounds the memory of its owner.',
  },
  {
    name: 'PF3_WORKING_REQUESTS',
    fallback: '256',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 100_000,
    means:
      'Requests that work at once; one more is answered with 503. Those that only wait for the end of a job do not count.',
  },
  {
    name: 'PF3_OPEN_REQUESTS',
    fallback: '10000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 1_000_000,
    means: 'Requests under way at once, waiting or not; one more is answered with 503.',
  },
  {
    name: 'PF3_REQUESTS_PER_TENANT',
    fallback: '10000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 10_000_000,
    means: 'Requests of one tenant in ten seconds; one more is answered with 429.',
  },
  {
    name: 'PF3_OPEN_REQUESTS_PER_TENANT',
    fallback: '2000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 1_000_000,
    means: 'Requests of one tenant under way at once, waiting or not; one more is answered with 429.',
  },
  {
    name: 'PF3_FAILED_CREDENTIALS',
    fallback: '100',
    form: 'whole',
    unit: 'failures',
    min: 0,
    max: 1_000_000,
    means:
      'Failed credentials of one address in a minute; then it is answered with 429 unseen. 0, or PF3_TLS_TERMINATED=yes, for no limit: behind a proxy all come from one address.',
  },
  {
    name: 'PF3_CONTENT_DAYS',
    fallback: '30',
    form: 'whole',
    unit: 'days',
    min: 7,
    max: 90,
    means:
      'How long inputs and results are kept of a tenant that has not said so itself; then their keys are destroyed.',
  },
  {
    name: 'PF3_TENANT_WEIGHTS',
    fallback: '',
    form: 'text',
    means: 'Shares in fair queueing, as `tenant=weight` separated by commas; every other tenant has 1.',
  },
  {
    name: 'PF3_SNAPSHOT_EVERY_FACTS',
    fallback: '20000',
    form: 'whole',
    unit: 'facts',
    min: 100,
    max: 10_000_000,
    means: 'Facts of a partition between two snapshots: bounds what a restart reads.',
  },
  {
    name: 'PF3_SHUTDOWN_WAIT_MS',
    fallback: '10000',
    form: 'whole',
    unit: 'ms',
    min: 0,
    max: 600_000,
    means: 'How long a stopping service waits for calls that are under way.',
  },
] as const satisfies readonly Option[]

export type OptionName = (typeof options)[number]['name']

export type Config = {
  host: string
  port: number
  /** `terminated`: a proxy ends it. */
  tls: { certFile: string; keyFile: string } | 'terminated' | undefined
  dataDir: string
  postgresUrl: string | undefined
  redis: { url: string; caFile: string | undefined } | undefined
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
    if (option.name === 'PF3_PROFILE' && text(option.name) === 'kafka')
      wrong.push('PF3_PROFILE: kafka is not in this build yet')
    else if (option.form === 'choice' && !(option.choices as readonly string[]).includes(text(option.name))) {
      wrong.push(
        `${option.name}: one of ${option.choices.join(', ')} was expected, not ${JSON.stringify(text(option.name))}`,
      )
    }
  }
  const config: Config = {
    host: text('PF3_HOST'),
    port: whole('PF3_PORT'),
    tls: tlsFrom(
      {
        host: text('PF3_HOST'),
        certFile: maybe('PF3_TLS_CERT_FILE'),
        keyFile: maybe('PF3_TLS_KEY_FILE'),
        isTerminated: text('PF3_TLS_TERMINATED') === 'yes',
      },
      wrong,
    ),
    dataDir: text('PF3_DATA_DIR'),
    postgresUrl: maybe('PF3_POSTGRES_URL'),
    redis: redisFrom(maybe('PF3_REDIS_URL'), maybe('PF3_REDIS_CA_FILE'), wrong),
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
    snapshotEveryFacts: BigInt(Math.trunc(whole('PF3_SNAPSHOT_EVERY_FACTS')) || 0),
    shutdownWaitMs: whole('PF3_SHUTDOWN_WAIT_MS'),
  }
  if (config.rootToken !== undefined && config.rootToken.length < rootTokenCharsMin) {
    wrong.push(
      `PF3_ROOT_TOKEN: at least ${rootTokenCharsMin} characters were expected, it has ${config.rootToken.length}`,
    )
  }
  const urlComplaint = config.postgresUrl === undefined ? undefined : postgresUrlComplaint(config.postgresUrl)
  if (urlComplaint !== undefined) wrong.push(`PF3_POSTGRES_URL: ${urlComplaint}`)
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

/** Some addresses hold a user and a password; what is complained about stands in logs. */
const withoutPassword = (url: string): string => JSON.stringify(url.replace(/\/\/.*@/, '//'))

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
  if (!isSafeUrl(baseUrl))
    wrong.push(
      `PF3_SCRIPTED_URL: an https URL, or an http one on loopback, was expected, not ${withoutPassword(baseUrl)}`,
    )
  if (models.trim() === '') wrong.push('PF3_SCRIPTED_MODELS: at least one model was expected')
  return {
    baseUrl,
    apiKey: apiKey ?? 'none',
    models: models
      .split(',')
      .map((model) => model.trim())
      .filter((model) => model !== ''),
  }
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
    if (url !== undefined && !isSafeUrl(url))
      wrong.push(`${name}: an https URL, or an http one on loopback, was expected, not ${withoutPassword(url)}`)
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
