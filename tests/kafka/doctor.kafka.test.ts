import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { examine } from '../../bin/commands/doctor.ts'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { kafkaClient } from '../../platform/log/kafka/client.ts'
import { freshDatabase } from '../postgres/fresh-database.ts'
import { startOwnKafka } from '../stack/kafka.ts'
import { startFleet } from './fleet.ts'

const onKafka = { PF3_PROFILE: 'kafka', PF3_PORT: '0', PF3_ROOT_TOKEN: 'a-token-of-more-than-thirty-two-characters' }

test('what a fleet needs is in order; a topic that was changed, and brokers and a registry that are away, are found', async () => {
  const fleet = await startFleet({
    members: ['api,owner,projections'],
    partitionCount: 2,
    connectionsMax: 2,
    env: { PF3_LOCAL_THREADS: '1' },
  })
  await fleet.tenant('acme')
  const ask = async (more: Readonly<Record<string, string>> = {}) => {
    const findings = await examine({ ...fleet.env, PF3_PORT: '0', ...more })
    return {
      right: findings.flatMap((one) => ('problem' in one ? [] : [one.what])),
      wrong: Object.fromEntries(findings.flatMap((one) => ('problem' in one ? [[one.what, one.problem]] : []))),
    }
  }
  const kafka = ['brokers', 'offsets of the owners', 'topics', 'schemas', 'requests not yet taken']
  const first = await ask()
  expect(first.wrong).toEqual({})
  expect(first.right).toEqual(expect.arrayContaining([...kafka, 'database', 'clock', 'tables', 'Redis']))

  const admin = kafkaClient({ brokers: (fleet.env['PF3_KAFKA_BROKERS'] ?? '').split(',') }).admin()
  await admin.connect()
  onTestFinished(() => admin.disconnect())
  const name = `${fleet.env['PF3_TOPIC_PREFIX']}jobs`
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name, configEntries: [{ name: 'retention.ms', value: '1' }] }],
  })
  await fleet.doors.registry.shut()
  expect((await ask()).wrong).toEqual({
    topics: `${name} differ`,
    schemas: expect.stringContaining('The schema registry does not answer'),
  })
  await fleet.doors.registry.open()
  const away = await ask({ PF3_KAFKA_BROKERS: `${fleet.env['PF3_KAFKA_BROKERS']},127.0.0.1:9` })
  expect(away.wrong['brokers']).toBe('no answer from 127.0.0.1:9')
  const other = await ask({ PF3_TOPIC_PREFIX: 'nobody-made.' })
  expect(other.wrong['schemas']).toMatch(/^\d+ are not registered$/)
  expect(other.wrong['topics']).toContain('nobody-made.intake')
}, 120_000)

test('brokers that nobody has used yet are in order at once; offsets that are soon forgotten, and requests that nobody takes, are found', async () => {
  const kafka = await startOwnKafka({ brokerCount: 1, rules: { 'offsets.retention.minutes': '10080' } })
  const dir = await mkdtemp(join(tmpdir(), 'pf3-doctor-'))
  const database = await freshDatabase()
  onTestFinished(async () => {
    await kafka.stop()
    await database.drop()
    await rm(dir, { recursive: true })
  })
  const env = {
    ...onKafka,
    PF3_KAFKA_BROKERS: kafka.addresses,
    PF3_REGISTRY_URL: process.env['PF3_TEST_REGISTRY_URL'] ?? '',
    PF3_POSTGRES_URL: database.url,
    PF3_TOPIC_PREFIX: `doctor-${process.pid}.`,
    PF3_DATA_DIR: dir,
  }
  await promisify(execFile)(process.execPath, [pf3Path, 'topics', 'apply'], { env: cleanEnv(env) })
  const ask = async () => (await examine(env)).flatMap((one) => ('problem' in one ? [[one.what, one.problem]] : []))
  const forgotten = ['offsets of the owners', 'forgotten when no owner runs for 7 days']
  // Nobody has asked for a group here before: brokers make the topic for their offsets only now.
  expect(await ask()).toEqual([forgotten])

  const producer = kafkaClient(kafka.connection).producer()
  await producer.connect()
  const messages = Array.from({ length: 10_001 }, () => ({ value: 'x', partition: 0 }))
  await producer.send({ topic: `${env.PF3_TOPIC_PREFIX}intake`, messages })
  await producer.disconnect()
  expect(await ask()).toEqual([forgotten, ['requests not yet taken', '10001 of a partition']])
}, 120_000)

test('nobody there at all is said within seconds', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-doctor-'))
  const database = await freshDatabase()
  onTestFinished(async () => {
    await database.drop()
    await rm(dir, { recursive: true })
  })
  const findings = await examine({
    ...onKafka,
    PF3_KAFKA_BROKERS: '127.0.0.1:9',
    PF3_REGISTRY_URL: 'http://127.0.0.1:9',
    PF3_POSTGRES_URL: database.url,
    PF3_DATA_DIR: dir,
  })
  const wrong = findings.flatMap((one) => ('problem' in one ? [one.what] : []))
  expect(wrong).toEqual(['brokers', 'schemas'])
})
