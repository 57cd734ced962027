/** The whole profile by TLS 1.3 and password: brokers, registry, PostgreSQL and Redis that take nothing else. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { hasEnded, jobClient } from '../../bin/demo/job-client.ts'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { openPostgres } from '../../platform/postgres/postgres.ts'
import { startPostgres } from '../postgres/start-postgres.ts'
import { ownRedis } from '../redis/own-redis.ts'
import { type KafkaStack, startOwnKafka } from '../stack/kafka.ts'
import { makeCertificate } from '../transport/certificate.ts'
import { type SecuredRegistry, securedRegistry } from '../transport/secured-registry.ts'
import { startFleet } from './fleet.ts'

const certificate = makeCertificate(['localhost'])
const login = { username: 'pf3', password: 'correcthorse' }
const dir = mkdtempSync(join(tmpdir(), 'pf3-transport-'))
const files = { ca: join(dir, 'ca.pem'), otherCa: join(dir, 'other.pem') }
writeFileSync(files.ca, certificate.cert)
writeFileSync(files.otherCa, makeCertificate(['localhost']).cert)

let kafka: KafkaStack
beforeAll(async () => {
  kafka = await startOwnKafka({ brokerCount: 1, secured: { ...certificate, ...login } })
}, 120_000)
afterAll(async () => {
  await kafka?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function ownRegistry(): Promise<SecuredRegistry> {
  const made = await securedRegistry(process.env['PF3_TEST_REGISTRY_URL'] ?? '', { ...certificate, ...login })
  onTestFinished(() => made.close())
  return made
}

const brokersBy = (more: Readonly<Record<string, string>> = {}) => ({
  PF3_KAFKA_BROKERS: kafka.addresses,
  PF3_KAFKA_TLS: 'yes',
  PF3_KAFKA_CA_FILE: files.ca,
  PF3_KAFKA_USERNAME: login.username,
  PF3_KAFKA_PASSWORD: login.password,
  ...more,
})

const registryBy = (url: string, more: Readonly<Record<string, string>> = {}) => ({
  PF3_REGISTRY_URL: url,
  PF3_REGISTRY_CA_FILE: files.ca,
  PF3_REGISTRY_USERNAME: login.username,
  PF3_REGISTRY_PASSWORD: login.password,
  ...more,
})

/** PostgreSQL and Redis by TLS 1.3 and password. */
async function ownStores() {
  const postgres = await startPostgres({ tls: certificate, password: login.password })
  onTestFinished(postgres.stop)
  const redis = await ownRedis({ tls: certificate, settings: ['--requirepass', login.password] })
  const url = new URL(postgres.url)
  url.hostname = 'localhost'
  url.search = `sslmode=verify-full&sslrootcert=${files.ca}`
  return {
    PF3_POSTGRES_URL: url.href,
    PF3_REDIS_URL: redis.url.replace('://', `://:${login.password}@`),
    PF3_REDIS_CA_FILE: files.ca,
  }
}

/** What the connections to the database speak. */
async function spokenTo(url: string): Promise<Record<string, unknown>[]> {
  const database = await openPostgres({ url, poolMax: 1 })
  try {
    const { rows } = await database.asOwner((tx) =>
      tx.query(
        'SELECT DISTINCT s.version FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE usename IS NOT NULL',
      ),
    )
    return rows
  } finally {
    await database.close()
  }
}

test('jobs run with everything by TLS 1.3 and password, and doctor finds nothing wrong', async () => {
  const registry = await ownRegistry()
  const stores = await ownStores()
  const fleet = await startFleet({
    members: ['api,owner,projections', 'owner'],
    partitionCount: 2,
    connectionsMax: 4,
    env: { PF3_LOCAL_THREADS: '1', ...brokersBy(), ...registryBy(registry.url), ...stores },
  })
  const { token } = await fleet.tenant('harbor')
  const jobs = jobClient(fleet.client)
  const wanted = { token, key: 'a', body: { capability: 'classify.sentiment', input: { text: 'A good day.' } } }
  const end = await jobs.end(wanted, (await jobs.submit(wanted)).id)
  expect([hasEnded(end), end.status]).toEqual([true, 'succeeded'])
  expect(registry.asked()).toBeGreaterThan(0)
  const { stdout } = await run(['doctor'], fleet.env)
  expect(stdout).toMatch(/^ok +Redis: .* by TLSv1\.3$/m)
  expect(stdout).not.toContain('WRONG')
  expect(await spokenTo(stores.PF3_POSTGRES_URL)).toEqual([{ version: 'TLSv1.3' }])
})

const run = (words: string[], env: Readonly<Record<string, string>>) =>
  promisify(execFile)(process.execPath, [pf3Path, ...words], { env: cleanEnv(env), timeout: 60_000 })

/** What `pf3 topics diff` says when it fails, with these options besides those that it always needs. */
const diffWith = (more: Readonly<Record<string, string>>): Promise<string> =>
  run(['topics', 'diff'], {
    PF3_PROFILE: 'kafka',
    PF3_POSTGRES_URL: process.env['PF3_TEST_POSTGRES_URL'] ?? '',
    PF3_ROOT_TOKEN: `pf3_${'x'.repeat(40)}`,
    PF3_TOPIC_PREFIX: 'refused.',
    PF3_PARTITIONS: '2',
    PF3_DATA_DIR: join(dir, 'refused'),
    ...more,
  }).then(
    ({ stdout }) => `it did not fail: ${stdout}`,
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  )

/** What it says when it cannot reach what it is led to; it asks brokers and registry, and changes nothing. */
async function refusal(more: Readonly<Record<string, string>>): Promise<string> {
  const { url } = await ownRegistry()
  const failed = await diffWith({ ...brokersBy(), ...registryBy(url), ...more })
  expect(failed, 'no secret is told').not.toContain(more['PF3_KAFKA_PASSWORD'] ?? login.password)
  return failed
}

test.each([
  ['brokers with a certificate of another authority', { PF3_KAFKA_CA_FILE: files.otherCa }, /certificate|signature/i],
  [
    'brokers that are given a wrong password',
    { PF3_KAFKA_PASSWORD: 'wrongbattery' },
    /password|authenticat|credentials/i,
  ],
  [
    'a registry with a certificate of another authority',
    { PF3_REGISTRY_CA_FILE: files.otherCa },
    /certificate|signature/i,
  ],
  ['a registry that is given a wrong password', { PF3_REGISTRY_PASSWORD: 'wrongbattery' }, /401|authenticat|password/i],
])('%s: a command says so', async (_, more, said) => {
  expect(await refusal(more)).toMatch(said)
})

test('a broker speaks nothing older than TLS 1.3, and not in plain text', async () => {
  const [host = '', port = ''] = kafka.addresses.split(':')
  const spoken = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
    new Promise((resolve) => {
      const socket = connect({ host, port: Number(port), ca: certificate.cert, minVersion: 'TLSv1.2', maxVersion })
      socket.once('secureConnect', () => resolve(socket.getProtocol())).once('error', ({ message }) => resolve(message))
      onTestFinished(() => void socket.destroy())
    })
  expect(await spoken('TLSv1.3')).toBe('TLSv1.3')
  expect(await spoken('TLSv1.2')).toMatch(/alert protocol version|handshake failure|unsupported/i)
  const plain = await diffWith({
    PF3_KAFKA_BROKERS: kafka.addresses,
    PF3_REGISTRY_URL: process.env['PF3_TEST_REGISTRY_URL'] ?? '',
  })
  expect(plain).toContain('LOG_UNAVAILABLE')
})
