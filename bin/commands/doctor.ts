/** `pf3 doctor`: looks at everything the service needs, says what is wrong and what to do. Changes nothing. */
import { X509Certificate } from 'node:crypto'
import { access, constants as mode, readdir, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { lockHolder } from '../../platform/postgres/data-dir-lock.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { hasEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { lackedRoles } from '../../platform/postgres/isolation.ts'
import { compareMigrations } from '../../platform/postgres/migrate.ts'
import { connectToPostgres } from '../../platform/postgres/postgres.ts'
import { askRedis } from '../../platform/redis/redis.ts'
import { otherMasterKey } from '../../platform/vault/sealed-with.ts'
import { readCertificate } from '../certificate.ts'
import { type Config, ConfigError, readConfig } from '../config.ts'
import { knownMasterKey, notedOther, sealedWithAnother } from '../master-key.ts'
import { serviceMigrations } from '../migrations.ts'
import { printLine, toJson } from '../print.ts'
import { redisAddress } from '../redis.ts'
import { hostAndPort, serviceUrl } from '../service-url.ts'
import type { Finding } from './finding.ts'

type Examine = (config: Config) => Promise<Finding | Finding[] | undefined>

const freeBytesMin = 1024 ** 3
const memoryBytesMin = 2 * 1024 ** 3
const certificateDaysMin = 14
const askMsMax = 5_000
const postgresVersionMin = 15
const redisVersionMin = 6
const clockApartMsMax = 2_000

/** Ends with 1 when something is wrong. */
export async function doctor(given: { json?: boolean }): Promise<void> {
  const findings = await examine(process.env)
  const wrong = findings.filter((finding) => 'problem' in finding)
  if (wrong.length > 0) process.exitCode = 1
  if (given.json) return printLine(toJson({ isWell: wrong.length === 0, findings }, 2))
  for (const finding of findings) {
    if ('problem' in finding) printLine(`WRONG  ${finding.what}: ${finding.problem}\n       ${finding.remedy}`)
    else printLine(`ok     ${finding.what}: ${finding.found}`)
  }
  printLine(wrong.length === 0 ? 'Everything is in order.' : `${wrong.length} of ${findings.length} are wrong.`)
}

/** Every check; without a sound configuration only those that need none. */
export async function examine(env: Readonly<Record<string, string | undefined>>): Promise<Finding[]> {
  const first = [runtime(), memory()]
  let config: Config
  try {
    config = readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const remedy = 'Correct these options in the environment, or in the file that PF3_CONFIG_FILE names.'
    return [...first, { what: 'configuration', problem: error.message, remedy }]
  }
  const checks: Examine[] = [
    dataDir,
    freeSpace,
    masterKey,
    leftovers,
    postgres,
    redis,
    port,
    certificate,
    issuer,
    scripted,
  ]
  const found: Finding[] = [...first, { what: 'configuration', found: 'sound' }]
  for (const check of checks) {
    const finding = await check(config)
    if (finding) found.push(...(Array.isArray(finding) ? finding : [finding]))
  }
  if (!config.kafka) return found
  const { examineKafka } = await import('./doctor-kafka.ts')
  return [...found, ...(await examineKafka(config.kafka, config.partitionCount))]
}

function runtime(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 19)) return { what: 'Node.js', found: process.versions.node }
  const remedy = 'Start it by the npm scripts, which bring Node.js 24 along, or install that.'
  return { what: 'Node.js', problem: `${process.versions.node} is too old: 22.19 is needed`, remedy }
}

function memory(): Finding {
  const what = 'machine'
  const found = `${availableParallelism()} cores, ${gib(totalmem())} GiB`
  if (totalmem() >= memoryBytesMin) return { what, found }
  return { what, problem: `${found} are too little: 2 GiB are needed`, remedy: 'Give it more memory.' }
}

const dataDir: Examine = async ({ dataDir: dir }) => {
  const what = 'data directory'
  const path = resolve(dir)
  const at = await nearestThere(path)
  const about = await stat(at)
  if (!about.isDirectory())
    return { what, problem: `${at} is not a directory`, remedy: 'Let PF3_DATA_DIR name another place.' }
  try {
    await access(at, mode.R_OK | mode.W_OK | mode.X_OK)
  } catch {
    return { what, problem: `${at} cannot be written by this user`, remedy: `Give it to the user that runs PF-3.` }
  }
  if (at !== path) return { what, found: `${path} is not there yet; the first start makes it` }
  if ((about.mode & 0o007) !== 0)
    return { what, problem: `${path} can be looked into by everybody`, remedy: `chmod 700 ${path}` }
  return { what, found: path }
}

const freeSpace: Examine = async ({ dataDir: dir }) => {
  const what = 'free space'
  const { bavail, bsize } = await statfs(await nearestThere(resolve(dir)))
  const free = bavail * bsize
  if (free >= freeBytesMin) return { what, found: `${gib(free)} GiB` }
  const remedy = 'Make room, or let PF3_DATA_DIR name a larger volume.'
  return { what, problem: `${gib(free)} GiB are left, less than 1`, remedy }
}

const masterKey: Examine = async (config) => {
  const what = 'master key'
  const path = resolve(config.masterKeyFile)
  const about = await stat(path).catch(() => undefined)
  if (!about) {
    if (await hasData(config)) return { what, problem: sealedWithAnother(config, undefined), remedy: remedyForKey }
    return { what, found: 'not there yet; the first start makes it: keep a copy of it elsewhere' }
  }
  if (!about.isFile() || about.size !== 32)
    return { what, problem: `${path} is not a file of 32 bytes`, remedy: 'Bring the right one back from its copy.' }
  if ((about.mode & 0o077) !== 0) return { what, problem: `${path} can be read by others`, remedy: `chmod 600 ${path}` }
  const key = await knownMasterKey(config).catch((error: Error) => error)
  if (key instanceof Error)
    return { what, problem: messageOf(key), remedy: 'Let the user that runs PF-3 read it, and nobody else.' }
  if (await notedOther(config, key)) return { what, problem: sealedWithAnother(config, key), remedy: remedyForKey }
  return { what, found: path }
}

const remedyForKey =
  'Put it in its place with mode 600. A service does not start until then: without that key no input and no result can be read.'

const hasData = async ({ postgresUrl, dataDir: dir }: Config): Promise<boolean> =>
  postgresUrl === undefined && (await hasEmbeddedDatabase(dir))

/** What a server's database was sealed with can only be asked there. Nothing is said of a key file that `masterKey` complains of. */
async function sealed(database: Database, config: Config): Promise<Finding[]> {
  const key = await knownMasterKey(config).catch(() => undefined)
  if ((await otherMasterKey(database, key?.id)) === undefined) return []
  return [{ what: 'master key', problem: sealedWithAnother(config, key), remedy: remedyForKey }]
}

/** A process that was killed leaves the directory of its socket until the same data is opened again. */
const leftovers: Examine = async () => {
  const names = (await readdir(tmpdir())).filter((name) => /^pf3-[A-Za-z0-9]{6}$/.test(name))
  return { what: 'socket directories', found: `${names.length} in ${tmpdir()}, of services that run or were killed` }
}

const postgres: Examine = async (config) => {
  const { postgresUrl, dataDir: dir } = config
  const what = 'database'
  if (postgresUrl === undefined) {
    const holder = await lockHolder(dir)
    if (!holder) return { what, found: 'built in; no process has it open' }
    const found = `built in; another pf3 process (pid ${holder.pid}) has it open: a service, or a command, which has to end before a service can start`
    return { what, found }
  }
  try {
    const database = connectToPostgres({ url: postgresUrl, poolMax: 1 })
    try {
      const lacked = await lackedRoles(database)
      return [
        await server(database),
        await databaseClock(database),
        roles(lacked),
        await tables(database),
        ...(lacked.length === 0 ? await sealed(database, config) : []),
      ]
    } finally {
      await database.close()
    }
  } catch (error) {
    const remedy =
      'See that the server runs, that PF3_POSTGRES_URL is right, and that its user may make roles and tables.'
    return { what, problem: withoutSecrets(error, postgresUrl), remedy }
  }
}

async function server(database: Database): Promise<Finding> {
  const what = 'database'
  const { rows } = await database.asOwner((tx) =>
    tx.query<{ version: string }>(`SELECT current_setting('server_version') AS version`),
  )
  const version = rows[0]?.version ?? ''
  if (Number.parseInt(version, 10) >= postgresVersionMin) return { what, found: `PostgreSQL ${version}` }
  const remedy = 'Let PF3_POSTGRES_URL name a newer server.'
  return { what, problem: `PostgreSQL ${version} is too old: ${postgresVersionMin} is needed`, remedy }
}

async function databaseClock(database: Database): Promise<Finding> {
  const what = 'clock'
  const { rows } = await database.asOwner((tx) =>
    tx.query<{ ms: string }>('SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) AS ms'),
  )
  const apartMs = Math.abs(Date.now() - Number(rows[0]?.ms))
  if (apartMs <= clockApartMsMax) return { what, found: `with the database's, to ${clockApartMsMax} ms` }
  const remedy = 'Let both machines follow the same time servers.'
  return { what, problem: `${apartMs} ms apart from the database's`, remedy }
}

function roles(lacked: readonly { role: string; canBeHad: boolean }[]): Finding {
  const what = 'roles'
  const closed = lacked.filter(({ canBeHad }) => !canBeHad).map(({ role }) => role)
  if (closed.length > 0) {
    const remedy =
      'Let an administrator of the server make them (NOLOGIN) and grant them to the user of PF3_POSTGRES_URL.'
    return { what, problem: `this user is not in ${closed.join(', ')}, and cannot get there by itself`, remedy }
  }
  return { what, found: lacked.length === 0 ? 'this user is in them' : 'the next start makes and grants them' }
}

async function tables(database: Database): Promise<Finding> {
  const what = 'tables'
  const { isNew, pending, changed } = await compareMigrations(database, serviceMigrations())
  if (changed.length > 0) {
    const remedy = 'Start the build that made them; a build that was altered may not be led to this database.'
    return { what, problem: `made otherwise than this build makes them: ${changed.join(', ')}`, remedy }
  }
  if (isNew) return { what, found: 'none yet; the first start makes them' }
  if (pending.length > 0) return { what, found: `the next start of this build makes ${pending.length} more` }
  return { what, found: 'as this build needs them' }
}

const redis: Examine = async ({ redis: given }) => {
  if (!given) return undefined
  const what = 'Redis'
  try {
    const { version, tls } = await askRedis(redisAddress(given))
    if (Number.parseInt(version, 10) >= redisVersionMin)
      return { what, found: `Redis ${version}, by ${tls ?? 'plain text on loopback'}` }
    const remedy = 'Let PF3_REDIS_URL name a newer server.'
    return { what, problem: `Redis ${version} is too old: ${redisVersionMin} is needed`, remedy }
  } catch (error) {
    const remedy =
      'See that the server runs, that PF3_REDIS_URL and PF3_REDIS_CA_FILE are right, and that its user may do what docs/reliability.md lists. Until then the service goes on without it.'
    return { what, problem: withoutSecrets(error, given.url), remedy }
  }
}

const port: Examine = async ({ host, port: wanted, tls }) => {
  const what = 'port'
  if (wanted === 0) return { what, found: 'any free one' }
  const problem = await new Promise<string | undefined>((answer) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => answer(error.code ?? error.message))
    server.listen(wanted, host, () => server.close(() => answer(undefined)))
  })
  const address = hostAndPort(host, wanted)
  if (problem === undefined) return { what, found: `${address} is free` }
  if (problem === 'EADDRINUSE' && (await answersAs(`${serviceUrl({ host, tls }, wanted)}/healthz`)))
    return { what, found: `${address}: a service is there` }
  const remedy = 'Let PF3_HOST and PF3_PORT name an address of this machine that is free.'
  return { what, problem: `${address} cannot be had: ${problem}`, remedy }
}

const certificate: Examine = async ({ tls }) => {
  if (typeof tls !== 'object') return undefined
  const what = 'certificate'
  try {
    const found = new X509Certificate(readCertificate(tls).cert)
    const days = Math.floor((Date.parse(found.validTo) - Date.now()) / 86_400_000)
    if (days >= certificateDaysMin) return { what, found: `${found.subject}, good for ${days} days` }
    const remedy = 'Put a new one in its place and send the service SIGHUP.'
    return { what, problem: days < 0 ? `ended ${-days} days ago` : `ends in ${days} days`, remedy }
  } catch (error) {
    const remedy = 'Let PF3_TLS_CERT_FILE and PF3_TLS_KEY_FILE name a certificate and its key, in PEM.'
    return { what, problem: messageOf(error), remedy }
  }
}

const issuer: Examine = async ({ oidc }) => {
  if (!oidc) return undefined
  const what = 'issuer of JWTs'
  const address = oidc.jwksUrl ?? `${oidc.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const problem = await problemOf(address)
  if (problem === undefined) return { what, found: address }
  const remedy = 'See that it can be reached from here, and that PF3_OIDC_ISSUER or PF3_OIDC_JWKS_URL is right.'
  return { what, problem: `${address}: ${problem}`, remedy }
}

const scripted: Examine = async ({ scripted: endpoint }) => {
  if (!endpoint) return undefined
  const what = 'provider scripted'
  // Any answer will do: what it thinks of a request without a job is its own business.
  const problem = await fetch(endpoint.baseUrl, { signal: AbortSignal.timeout(askMsMax) }).then(
    () => undefined,
    (error: unknown) => causeOf(error),
  )
  if (problem === undefined) return { what, found: endpoint.baseUrl }
  return {
    what,
    problem: `${endpoint.baseUrl}: ${problem}`,
    remedy: 'See that it runs, and that PF3_SCRIPTED_URL is right.',
  }
}

async function nearestThere(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if (await stat(at).catch(() => undefined)) return at
    if (at === dirname(at)) return at
  }
}

const answersAs = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(askMsMax) }).then(
    (response) => response.ok,
    (error: unknown) => /CERT|SELF_SIGNED|ALTNAME/.test(causeOf(error)),
  )
const problemOf = (url: string): Promise<string | undefined> =>
  fetch(url, { signal: AbortSignal.timeout(askMsMax) }).then(
    (response) => (response.ok ? undefined : `answered with ${response.status}`),
    (error: unknown) => causeOf(error),
  )

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : messageOf(error)
}
/** Several addresses of one name that do not answer have a code in common and no message. */
const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || ((error as NodeJS.ErrnoException).code ?? error.name) : String(error)
const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1)

function withoutSecrets(error: unknown, url: string): string {
  const { password } = new URL(url)
  const told = `${messageOf(error)}${error instanceof Error && error.cause ? `: ${messageOf(error.cause)}` : ''}`
  return password === '' ? told : told.replaceAll(decoded(password), '…').replaceAll(password, '…')
}

/** As it is where a `%` in it begins no escape. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
