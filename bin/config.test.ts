import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { tokenCharsMax } from '../platform/bearer-token.ts'
import { timeoutMsMax } from '../providers/index.ts'
import { ConfigError, readConfig } from './config.ts'
import { options } from './options.ts'

const page = join(import.meta.dirname, '../docs/reference/config.md')

function table(): string {
  const rows = options.map((option) => {
    const { name, fallback, form, means } = option
    const range =
      'min' in option
        ? `${option.min} to ${option.max} ${option.unit}`
        : form === 'choice'
          ? option.choices.map((choice) => `\`${choice}\``).join(', ')
          : form
    return `| \`${name}\` | ${fallback === null || fallback === '' ? 'none' : `\`${fallback}\``} | ${range} | ${means} |`
  })
  return ['| option | default | value | means |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

test('the documented options are those of the code (UPDATE_DOCS=1 writes them)', () => {
  const start = '<!-- table -->\n'
  const text = readFileSync(page, 'utf8')
  const wanted = text.slice(0, text.indexOf(start) + start.length) + table()
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})

test('without anything set, everything has its default', () => {
  expect(readConfig({})).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    dataDir: '.pf3',
    postgresUrl: undefined,
    redis: undefined,
    partitionCount: 4,
    rootToken: undefined,
    places: { local: 64, remote: 64 },
    scripted: undefined,
    attemptsMax: 4,
    rollupWaitMs: 5_000,
    snapshotEveryFacts: 20_000n,
    shutdownWaitMs: 10_000,
  })
})

test('every default is one that is allowed', () => {
  const all = Object.fromEntries(options.flatMap(({ name, fallback }) => (fallback === null ? [] : [[name, fallback]])))
  expect(readConfig(all)).toEqual(readConfig({}))
})

const onKafka = {
  PF3_PROFILE: 'kafka',
  PF3_KAFKA_BROKERS: '127.0.0.1:9092',
  PF3_REGISTRY_URL: 'http://127.0.0.1:8081',
  PF3_POSTGRES_URL: 'postgres://pf3@127.0.0.1/pf3',
  PF3_ROOT_TOKEN: 'a-token-of-more-than-thirty-two-characters',
}

const kafkaComplaints = [
  [{ ...onKafka, PF3_KAFKA_BROKERS: '' }, 'PF3_KAFKA_BROKERS: PF3_PROFILE=kafka needs it: where the log is'],
  [
    { ...onKafka, PF3_REGISTRY_URL: '' },
    'PF3_REGISTRY_URL: PF3_PROFILE=kafka needs it: where the schemas of its records are',
  ],
  [
    { ...onKafka, PF3_POSTGRES_URL: '' },
    'PF3_POSTGRES_URL: PF3_PROFILE=kafka needs it: the views of several processes, which the built-in database cannot hold',
  ],
  [{ ...onKafka, PF3_ROOT_TOKEN: '' }, 'PF3_ROOT_TOKEN: PF3_PROFILE=kafka needs it: the same in every process'],
  [{ ...onKafka, PF3_KAFKA_BROKERS: '127.0.0.1' }, 'PF3_KAFKA_BROKERS: host:port was expected, not "127.0.0.1"'],
  [
    { ...onKafka, PF3_KAFKA_BROKERS: '127.0.0.1:9092, kafka.example:9092' },
    'PF3_KAFKA_TLS: brokers outside loopback need yes: kafka.example:9092',
  ],
  [{ ...onKafka, PF3_KAFKA_CA_FILE: '/nowhere' }, 'PF3_KAFKA_CA_FILE: goes with PF3_KAFKA_TLS=yes, which is not set'],
  [{ ...onKafka, PF3_KAFKA_USERNAME: 'u' }, 'PF3_KAFKA_USERNAME: goes with PF3_KAFKA_PASSWORD, which is not set'],
  [
    { ...onKafka, PF3_REGISTRY_PASSWORD: 'p' },
    'PF3_REGISTRY_PASSWORD: goes with PF3_REGISTRY_USERNAME, which is not set',
  ],
  [
    { ...onKafka, PF3_REGISTRY_URL: 'http://schemas.example' },
    'PF3_REGISTRY_URL: an https URL, or an http one on loopback, was expected',
  ],
  [
    { ...onKafka, PF3_REGISTRY_URL: 'https://u:p@schemas.example' },
    'PF3_REGISTRY_URL: user and password go into PF3_REGISTRY_USERNAME and PF3_REGISTRY_PASSWORD',
  ],
  [
    { ...onKafka, PF3_TOPIC_PREFIX: 'a b' },
    'PF3_TOPIC_PREFIX: 1 to 64 letters, digits, dots, dashes or underscores were expected',
  ],
  [
    { ...onKafka, PF3_KAFKA_REPLICATION: '0' },
    'PF3_KAFKA_REPLICATION: a whole number from 1 to 9 was expected, not "0"',
  ],
] as const

test('the profile kafka has everything that it needs, and nothing of it is there on the embedded one', () => {
  expect(readConfig({}).kafka).toBeUndefined()
  expect(readConfig(onKafka).kafka).toEqual({
    connection: { brokers: ['127.0.0.1:9092'] },
    topicPrefix: 'pf3.',
    replicationFactor: undefined,
    registry: { url: 'http://127.0.0.1:8081' },
  })
})

const complaints = [
  [{ PF3_PROFILE: 'cloud' }, 'PF3_PROFILE: one of embedded, kafka was expected, not "cloud"'],
  [{ PF3_KAFKA_BROKERS: 'kafka.example:9092' }, 'PF3_KAFKA_BROKERS: goes with PF3_PROFILE=kafka, which is not set'],
  ...kafkaComplaints,
  [{ PF3_PORT: '65536' }, 'PF3_PORT: a whole number from 0 to 65535 was expected, not "65536"'],
  [{ PF3_PARTITIONS: '0' }, 'PF3_PARTITIONS: a whole number from 1 to 256 was expected, not "0"'],
  [{ PF3_PARTITIONS: '1e1' }, 'PF3_PARTITIONS: a whole number from 1 to 256 was expected, not "1e1"'],
  [{ PF3_PARTITIONS: '-1' }, 'PF3_PARTITIONS: a whole number from 1 to 256 was expected, not "-1"'],
  [{ PF3_LOG_LEVEL: 'loud' }, 'PF3_LOG_LEVEL: one of debug, info, warn, error, silent was expected, not "loud"'],
  [{ PF3_ROOT_TOKEN: 'short' }, 'PF3_ROOT_TOKEN: at least 32 characters were expected, it has 5'],
  ...[`${'x'.repeat(40)} y`, `${'x'.repeat(40)}é`, 'x'.repeat(tokenCharsMax + 1)].map(
    (token) =>
      [
        { PF3_ROOT_TOKEN: token },
        'PF3_ROOT_TOKEN: at most 8192 printable ASCII characters without spaces were expected: no other is taken as a bearer token',
      ] as const,
  ),
  [{ PF3_RETRY_BASE_MS: '500', PF3_RETRY_MS_MAX: '499' }, 'PF3_RETRY_MS_MAX: must be at least PF3_RETRY_BASE_MS'],
  [
    { PF3_SCRIPTED_URL: 'http://provider.example/v1' },
    'PF3_SCRIPTED_URL: an https URL, or an http one on loopback, was expected, not "http://provider.example/v1"',
  ],
  [
    { PF3_SCRIPTED_URL: 'nonsense' },
    'PF3_SCRIPTED_URL: an https URL, or an http one on loopback, was expected, not "nonsense"',
  ],
  [
    { PF3_SCRIPTED_URL: 'https://u:p@provider.example/v1' },
    'PF3_SCRIPTED_URL: an address without user and password was expected',
  ],
  [
    { PF3_SCRIPTED_URL: 'u:secret@provider.example/v1' },
    'PF3_SCRIPTED_URL: an https URL, or an http one on loopback, was expected, not "…@provider.example/v1"',
  ],
  [{ PF3_SCRIPTED_KEY: 'k' }, 'PF3_SCRIPTED_KEY: goes with PF3_SCRIPTED_URL, which is not set'],
  [
    { PF3_SCRIPTED_URL: 'http://127.0.0.1:1/v1', PF3_SCRIPTED_MODELS: ' ' },
    'PF3_SCRIPTED_MODELS: at least one model was expected',
  ],
  [
    { PF3_SCRIPTED_URL: 'http://127.0.0.1:1/v1', PF3_SCRIPTED_MODELS: ' ,' },
    'PF3_SCRIPTED_MODELS: at least one model was expected',
  ],
  [
    { PF3_ATTEMPT_MS_MAX: String(timeoutMsMax + 1) },
    'PF3_ATTEMPT_MS_MAX: a whole number from 100 to 300000 was expected, not "300001"',
  ],
  [{ PF3_TENANT_WEIGHTS: 'acme=0' }, 'PF3_TENANT_WEIGHTS: tenant=1..999 was expected, not "acme=0"'],
  [
    { PF3_OIDC_ISSUER: 'http://issuer.example', PF3_OIDC_AUDIENCE: 'pf3' },
    'PF3_OIDC_ISSUER: an https URL, or an http one on loopback, was expected, not "http://issuer.example"',
  ],
  [
    {
      PF3_OIDC_ISSUER: 'https://issuer.example',
      PF3_OIDC_AUDIENCE: 'pf3',
      PF3_OIDC_JWKS_URL: 'http://issuer.example/k',
    },
    'PF3_OIDC_JWKS_URL: an https URL, or an http one on loopback, was expected, not "http://issuer.example/k"',
  ],
  [
    { PF3_OIDC_ISSUER: 'https://me@issuer.example', PF3_OIDC_AUDIENCE: 'pf3' },
    'PF3_OIDC_ISSUER: an address without user and password was expected',
  ],
  [
    {
      PF3_OIDC_ISSUER: 'https://issuer.example',
      PF3_OIDC_AUDIENCE: 'pf3',
      PF3_OIDC_JWKS_URL: 'https://:p@issuer.example/k',
    },
    'PF3_OIDC_JWKS_URL: an address without user and password was expected',
  ],
  [
    { PF3_OIDC_ISSUER: 'https://issuer.example' },
    'PF3_OIDC_AUDIENCE: goes with PF3_OIDC_ISSUER: without it, JWTs meant for others would do',
  ],
  [{ PF3_OIDC_AUDIENCE: 'pf3' }, 'PF3_OIDC_AUDIENCE: goes with PF3_OIDC_ISSUER, which is not set'],
  [{ PF3_OIDC_PLATFORM_ADMIN: 'yes' }, 'PF3_OIDC_PLATFORM_ADMIN: goes with PF3_OIDC_ISSUER, which is not set'],
  [{ PF3_TLS_CERT_FILE: 'c.pem' }, 'PF3_TLS_CERT_FILE: goes with PF3_TLS_KEY_FILE, which is not set'],
  [{ PF3_TLS_KEY_FILE: 'k.pem' }, 'PF3_TLS_KEY_FILE: goes with PF3_TLS_CERT_FILE, which is not set'],
  [
    { PF3_TLS_CERT_FILE: 'c.pem', PF3_TLS_KEY_FILE: 'k.pem', PF3_TLS_TERMINATED: 'yes' },
    'PF3_TLS_TERMINATED: either a proxy ends TLS, or PF3_TLS_CERT_FILE is set',
  ],
  [
    { PF3_HOST: '0.0.0.0' },
    'PF3_HOST: outside loopback TLS is needed: set PF3_TLS_CERT_FILE and PF3_TLS_KEY_FILE, or PF3_TLS_TERMINATED=yes when a proxy ends it',
  ],
  [
    { PF3_POSTGRES_URL: 'postgres://u:p@db.example/pf3?sslmode=require' },
    'PF3_POSTGRES_URL: outside loopback sslmode=verify-full was expected, and sslrootcert=<file> where the system does not know the authority',
  ],
  [
    { PF3_REDIS_URL: 'redis://u:p@redis.example' },
    'PF3_REDIS_URL: outside loopback rediss:// was expected, and PF3_REDIS_CA_FILE where the system does not know the authority',
  ],
  [
    { PF3_REDIS_URL: 'localhost:6379' },
    'PF3_REDIS_URL: redis://user:password@host:port/database was expected, or rediss:// for TLS, without a query',
  ],
  [{ PF3_REDIS_CA_FILE: 'ca.pem' }, 'PF3_REDIS_CA_FILE: goes with PF3_REDIS_URL, which is not set'],
  [
    { PF3_REDIS_URL: 'redis://localhost', PF3_REDIS_CA_FILE: 'ca.pem' },
    'PF3_REDIS_CA_FILE: goes with rediss://, which PF3_REDIS_URL does not begin with',
  ],
  [{ PF3_PROT: '1' }, 'PF3_PROT: there is no such option; see docs/reference/config.md'],
] as const

test.each(complaints)('%o is complained about', (env, complaint) => {
  expect(() => readConfig(env)).toThrow(new ConfigError([complaint]))
})

test('everything that is wrong is said at once', () => {
  const all = complaints.filter(([env]) => 'PF3_PORT' in env || 'PF3_LOG_LEVEL' in env)
  const env = Object.assign({}, ...all.map(([one]) => one)) as Record<string, string>
  for (const [, complaint] of all) expect(() => readConfig(env)).toThrow(complaint)
})

test('a file gives options, the environment wins, and what the file misspells is complained about', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pf3-config-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'pf3.json')
  writeFileSync(path, JSON.stringify({ PF3_PORT: 1234, PF3_PARTITIONS: 8 }))
  expect(readConfig({ PF3_CONFIG_FILE: path, PF3_PORT: '99' })).toMatchObject({ port: 99, partitionCount: 8 })
  writeFileSync(path, JSON.stringify({ port: 1234 }))
  expect(() => readConfig({ PF3_CONFIG_FILE: path })).toThrow('port: there is no such option')
  writeFileSync(path, '[1]')
  expect(() => readConfig({ PF3_CONFIG_FILE: path })).toThrow('it is not a JSON object')
  expect(() => readConfig({ PF3_CONFIG_FILE: join(dir, 'none.json') })).toThrow('cannot be used')
})

test('outside loopback TLS is spoken here or ended by a proxy', () => {
  const files = { PF3_TLS_CERT_FILE: 'c.pem', PF3_TLS_KEY_FILE: 'k.pem' }
  expect(readConfig({ PF3_HOST: '0.0.0.0', ...files }).tls).toEqual({ certFile: 'c.pem', keyFile: 'k.pem' })
  expect(readConfig({ PF3_HOST: '0.0.0.0', PF3_TLS_TERMINATED: 'yes' }).tls).toBe('terminated')
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost'])
    expect(readConfig({ PF3_HOST: host }).tls).toBeUndefined()
})

test('an issuer is trusted with its audience, and names no platform admins unless told so', () => {
  const given = { PF3_OIDC_ISSUER: 'https://issuer.example/', PF3_OIDC_AUDIENCE: 'pf3' }
  const oidc = { issuer: 'https://issuer.example/', audience: 'pf3', jwksUrl: undefined, allowsPlatformAdmin: false }
  expect(readConfig(given).oidc).toEqual(oidc)
  expect(readConfig({ ...given, PF3_OIDC_PLATFORM_ADMIN: 'yes' }).oidc).toEqual({ ...oidc, allowsPlatformAdmin: true })
  expect(readConfig({}).oidc).toBeUndefined()
})

test('an IPv6 address may be written as in a URL; what listens takes it without brackets', () => {
  for (const host of ['::1', '[::1]']) expect(readConfig({ PF3_HOST: host }).host).toBe('::1')
})

test('an attempt may last as long as a call to a provider can, and a root token be as long as what is sent', () => {
  const most = { PF3_ATTEMPT_MS_MAX: String(timeoutMsMax), PF3_ROOT_TOKEN: 'x'.repeat(tokenCharsMax) }
  expect(readConfig(most)).toMatchObject({ attemptMsMax: timeoutMsMax, rootToken: most.PF3_ROOT_TOKEN })
})

test('the scripted provider has its models, the tenants their weights', () => {
  const config = readConfig({
    PF3_SCRIPTED_URL: 'http://127.0.0.1:4010/v1',
    PF3_SCRIPTED_MODELS: 'big, small',
    PF3_TENANT_WEIGHTS: 'acme=3, zeta=10',
  })
  expect(config.scripted).toEqual({ baseUrl: 'http://127.0.0.1:4010/v1', apiKey: 'none', models: ['big', 'small'] })
  expect([...config.tenantWeights]).toEqual([
    ['acme', 3],
    ['zeta', 10],
  ])
})
