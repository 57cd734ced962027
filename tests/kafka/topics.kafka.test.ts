import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { kafkaClient } from '../../platform/log/kafka/client.ts'

const brokers = process.env['PF3_TEST_KAFKA_BROKERS'] ?? ''
const prefix = `topics-${process.pid}.`
const env = {
  PF3_PROFILE: 'kafka',
  PF3_KAFKA_BROKERS: brokers,
  PF3_REGISTRY_URL: process.env['PF3_TEST_REGISTRY_URL'] ?? '',
  PF3_POSTGRES_URL: process.env['PF3_TEST_POSTGRES_URL'] ?? '',
  PF3_ROOT_TOKEN: 'a-token-of-more-than-thirty-two-characters',
  PF3_TOPIC_PREFIX: prefix,
  PF3_PARTITIONS: '3',
}

/** `pf3 topics …` as anybody runs it. */
async function topics(what: 'apply' | 'diff', more: Readonly<Record<string, string>> = {}) {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [pf3Path, 'topics', what], {
      env: cleanEnv({ ...env, ...more }),
    })
    return { code: 0, stdout, stderr: '' }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

test('topics and schemas are said, made once, kept as they should be, and never given another number of partitions', async () => {
  const missing = await topics('diff')
  expect(missing.code).toBe(1)
  expect(missing.stdout).toContain(`${prefix}intake: create with 3 partitions, the brokers' number of replicas`)
  expect(missing.stdout).toContain(`${prefix}directory: create with 1 partitions`)
  expect(missing.stdout).toContain(`${prefix}billing-webwaka.pf3.billing.JobRated: register`)
  expect(await topics('apply')).toMatchObject({ code: 0, stdout: missing.stdout })
  expect(await topics('apply')).toMatchObject({ code: 0, stdout: 'There was nothing to do.\n' })
  expect(await topics('diff')).toMatchObject({ code: 0, stdout: 'Everything is as it should be.\n' })

  const admin = kafkaClient({ brokers: brokers.split(',') }).admin()
  await admin.connect()
  onTestFinished(() => admin.disconnect())
  const name = `${prefix}billing`
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: 2,
        name,
        configEntries: [
          { name: 'retention.ms', value: '1000' },
          { name: 'max.message.bytes', value: '2097152' },
          { name: 'segment.bytes', value: '123456789' },
        ],
      },
    ],
  })
  expect(await topics('diff')).toMatchObject({
    code: 1,
    stdout: `${name}: set retention.ms from 1000 to 220924800000\n`,
  })
  expect((await topics('apply')).code).toBe(0)
  expect((await topics('diff')).code).toBe(0)
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name }] })
  const theirs = resources[0]?.configEntries.find(({ configName }) => configName === 'segment.bytes')
  expect(theirs?.configValue, 'what somebody else set is left').toBe('123456789')

  const refused = await topics('apply', { PF3_PARTITIONS: '6' })
  expect(refused.code).toBe(3)
  expect(refused.stderr).toContain(`${prefix}jobs: it has 3 partitions, 6 were asked for.`)
  expect(refused.stderr).toContain(
    'set PF3_PARTITIONS to 3, or begin a new installation under another PF3_TOPIC_PREFIX',
  )
  expect((await topics('diff')).code).toBe(0)
})

test('without brokers, and on the embedded profile, it says what is wrong', async () => {
  expect(await topics('diff', { PF3_KAFKA_BROKERS: '127.0.0.1:9' })).toMatchObject({ code: 3 })
  const { PF3_PROFILE: _, PF3_KAFKA_BROKERS: __, PF3_REGISTRY_URL: ___, ...embedded } = env
  await expect(
    promisify(execFile)(process.execPath, [pf3Path, 'topics', 'diff'], { env: cleanEnv(embedded) }),
  ).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('on the embedded profile there are no topics') })
})
