/** Where a test run looks for its stack, and what it says when there is none. Containers themselves run where an engine is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { imagesOf, kafkaEnvironment } from './containers.ts'
import { type StackEnvironment, testNames } from './environment.ts'
import { findStack, type Sources } from './find-stack.ts'

const environmentOf = (host: string): StackEnvironment => ({
  PF3_KAFKA_BROKERS: `${host}:9092`,
  PF3_REGISTRY_URL: `http://${host}:8081`,
  PF3_POSTGRES_URL: `postgres://${host}`,
  PF3_REDIS_URL: `redis://${host}`,
})
const named = Object.fromEntries(Object.values(testNames).map((name) => [name, 'somewhere']))

function sources(over: Partial<Sources> = {}): Sources & { asked: string[] } {
  const asked: string[] = []
  const starting = (name: string) => async () => {
    asked.push(name)
    return { environment: environmentOf(name), stop: async () => void asked.push(`${name} ends`) }
  }
  return {
    asked,
    env: {},
    hasDocker: async () => {
      asked.push('engine?')
      return true
    },
    startContainers: starting('containers'),
    startOnJvm: starting('jvm'),
    ...over,
  }
}

test('what the environment names is taken, and nothing is started or ended', async () => {
  const from = sources({ env: named })
  const found = await findStack(from)
  expect(found.environment).toBeUndefined()
  await found.stop()
  expect(from.asked).toEqual([])
})

test('half of the names is a mistake', async () => {
  const { PF3_TEST_REDIS_URL: _, ...some } = named
  await expect(findStack(sources({ env: some }))).rejects.toThrow(/PF3_TEST_REDIS_URL is not/)
})

test('containers come before Java, and are ended by whoever asked for them', async () => {
  const from = sources()
  const found = await findStack(from)
  expect(found.environment).toEqual(environmentOf('containers'))
  await found.stop()
  expect(from.asked).toEqual(['engine?', 'containers', 'containers ends'])
})

test('without an engine, or with one that cannot start them, it is Java', async () => {
  const said: string[] = []
  expect((await findStack(sources({ hasDocker: async () => false }))).environment).toEqual(environmentOf('jvm'))
  const startContainers = () => Promise.reject(new Error('no such image'))
  const found = await findStack(sources({ startContainers }), (what) => said.push(what))
  expect(found.environment).toEqual(environmentOf('jvm'))
  expect(said.join()).toContain('no such image')
})

test('where nothing can be started it says why, and the command that helps', async () => {
  const startOnJvm = () => Promise.reject(new Error('mvn was not found'))
  const finding = findStack(sources({ hasDocker: async () => false, startOnJvm }))
  await expect(finding).rejects.toThrow(/no engine answers[\s\S]*mvn was not found[\s\S]*npm run stack/)
})

test('containers run the images of the composition, and a broker has the rules of the stack without Docker', () => {
  const compose = readFileSync(join(import.meta.dirname, '..', '..', 'docker-compose.yml'), 'utf8')
  for (const [part, image] of Object.entries(imagesOf(compose))) expect(image, part).toMatch(/^[a-z/-]+:[\w.-]+$/)
  expect(() => imagesOf('services: {}')).toThrow(/no image for kafka/)
  expect(kafkaEnvironment(41_234)).toMatchObject({
    KAFKA_ADVERTISED_LISTENERS: 'CLIENT://127.0.0.1:41234,ITSELF://127.0.0.1:9094',
    KAFKA_INTER_BROKER_LISTENER_NAME: 'ITSELF',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_OFFSETS_RETENTION_MINUTES: '5256000',
  })
})
