/** The samples read the feed by TLS 1.3 and password, from brokers and a registry that take nothing else, and hold it against a ledger by TLS. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaStack, startOwnKafka } from '../stack/kafka.ts'
import { makeCertificate } from '../transport/certificate.ts'
import { type SecuredRegistry, securedRegistry } from '../transport/secured-registry.ts'
import { registryUrl } from './kafka-of-the-run.ts'
import { balancesOf, ratedFact, tenantsOf } from './rated-facts.ts'
import { installSample, languages, runSample } from './run-sample.ts'
import { type FeedWriter, openFeedWriter, partitionCount } from './write-feed.ts'

const certificate = makeCertificate(['localhost'])
const brokerLogin = { username: 'reader', password: 'correcthorse' }
const registryLogin = { username: 'schemas', password: 'batterystaple' }
const passwords = { KAFKA_PASSWORD: brokerLogin.password, REGISTRY_PASSWORD: registryLogin.password }
const dir = mkdtempSync(join(tmpdir(), 'billing-feed-'))
const files = { ca: join(dir, 'ca.pem'), otherCa: join(dir, 'other.pem'), none: join(dir, 'none.pem') }
writeFileSync(files.ca, certificate.cert)
writeFileSync(files.otherCa, makeCertificate(['localhost']).cert)
writeFileSync(files.none, 'not a certificate')

const topic = `t${randomUUID().slice(0, 8)}.billing`
const [tenant = ''] = tenantsOf(0, partitionCount, 1)
const facts = [ratedFact(tenant, 1, 1n), ratedFact(tenant, 2, 2n)]
let kafka: KafkaStack
let registry: SecuredRegistry
let ledger: Server
let writer: FeedWriter

beforeAll(async () => {
  installSample()
  kafka = await startOwnKafka({ brokerCount: 1, secured: { ...certificate, ...brokerLogin } })
  registry = await securedRegistry(registryUrl(), { ...certificate, ...registryLogin })
  writer = await openFeedWriter(kafka.addresses, registryUrl(), topic, {
    ssl: { ca: certificate.cert },
    sasl: { mechanism: 'scram-sha-512', ...brokerLogin },
  })
  await writer.write(facts.map(writer.encode), 'commit')
  ledger = createServer({ ...certificate, minVersion: 'TLSv1.3' }, (request, answer) => {
    const period = new URL(request.url ?? '', 'https://ledger').searchParams.get('period')
    const balance = balancesOf(facts).find((one) => one.period === period)
    const byKind = balance?.byKind.map((kind) => ({ ...kind, currency: balance.currency }))
    answer.end(JSON.stringify({ total: { jobs: balance?.jobs, amount: balance?.amount, byKind } }))
  })
  await new Promise<void>((resolve) => ledger.listen(0, '127.0.0.1', resolve))
}, 300_000)

afterAll(async () => {
  ledger?.close()
  registry?.close()
  await writer?.close()
  await kafka?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** Everything that it takes, with `over` instead of some of it; undefined leaves an option out. */
function asked(over: Readonly<Record<string, string | undefined>> = {}): string[] {
  const options: Record<string, string | undefined> = {
    '--brokers': kafka.addresses,
    '--registry': registry.url,
    '--user': brokerLogin.username,
    '--registry-user': registryLogin.username,
    '--ca': files.ca,
    '--topic': topic,
    '--tls': '',
    ...over,
  }
  return Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : value === '' ? [name] : [name, value],
  )
}

describe.for(languages)('the sample in %s', (language) => {
  test('comes to the balances, and finds them in the ledger', async () => {
    const before = registry.asked()
    const { port } = ledger.address() as AddressInfo
    const compare = ['--compare', `https://localhost:${port}`, '--tenant', tenant, '--compare-wait', '0', '--json']
    const env = { ...passwords, PF3_TOKEN: 'pf3_of-that-tenant' }
    const { status, said, complained } = await runSample(language, [...asked(), ...compare], env)
    expect({ status, complained }).toEqual({ status: 0, complained: '' })
    expect(JSON.parse(said)).toMatchObject({
      balances: balancesOf(facts),
      comparison: { tenantId: tenant, differences: [] },
    })
    expect(registry.asked()).toBeGreaterThan(before)
  })

  // Most of it is waiting for brokers that do not answer.
  test.concurrent.for([
    ['a wrong password', {}, { KAFKA_PASSWORD: 'wrongbattery' }, /No broker of .* answers: .*authenticat/is],
    ['a certificate of another authority', { '--ca': files.otherCa }, {}, /No broker of .* answers: .*certificate/is],
    ['no TLS', { '--tls': undefined, '--user': undefined }, {}, /No broker of .* answers/],
    ['a wrong password of the registry', {}, { REGISTRY_PASSWORD: 'wrongbattery' }, /gives no schema for id .*401/is],
    ['a password by plain text', { '--tls': undefined }, {}, /--user goes with --tls/],
    [
      'the registry by plain text',
      { '--registry': 'http://schemas.example' },
      {},
      /--registry-user goes with an https/,
    ],
    ['no password', {}, { KAFKA_PASSWORD: '' }, /KAFKA_PASSWORD is not set/],
    ['no certificate', { '--ca': files.none }, {}, /--ca: .* holds no certificate/],
  ] as const)('says what is wrong with %s, and no password', async ([, over, env, why]) => {
    const { status, complained } = await runSample(language, asked(over), { ...passwords, ...env })
    expect(complained).toMatch(why)
    expect(status).toBe(2)
    expect(complained).not.toMatch(/correcthorse|batterystaple|wrongbattery/)
  })
})
