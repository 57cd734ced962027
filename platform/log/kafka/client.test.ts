/** What of kafkajs is used that it does not promise: a new version that lacks it must not get in unnoticed. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'

const fromHere = createRequire(import.meta.url)
const methodsOf = (name: string): string[] =>
  Object.getOwnPropertyNames((fromHere(`kafkajs/src/${name}`) as { prototype: object }).prototype)

test('the version is the one whose inside is known', () => {
  const { dependencies } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>
  }
  expect(dependencies['kafkajs']).toBe('2.2.4')
  expect((fromHere('kafkajs/package.json') as { version: string }).version).toBe('2.2.4')
})

test('cluster and broker have the methods that readers and transactions go by', () => {
  expect(methodsOf('cluster')).toEqual(
    expect.arrayContaining([
      'connect',
      'disconnect',
      'addMultipleTargetTopics',
      'findTopicPartitionMetadata',
      'findBroker',
      'findGroupCoordinator',
    ]),
  )
  expect(methodsOf('broker')).toEqual(
    expect.arrayContaining([
      'connect',
      'fetch',
      'listOffsets',
      'initProducerId',
      'addPartitionsToTxn',
      'addOffsetsToTxn',
      'txnOffsetCommit',
      'endTxn',
      'leaveGroup',
    ]),
  )
  const { requests } = fromHere('kafkajs/src/protocol/requests') as { requests: { Produce: { versions: string[] } } }
  expect(requests.Produce.versions.map(Number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  expect(fromHere('kafkajs/src/protocol/requests/apiKeys')).toMatchObject({ Produce: 0 })
  expect(Object.keys(fromHere('kafkajs/src/retry/defaults') as object)).toEqual(
    expect.arrayContaining(['initialRetryTime', 'factor', 'multiplier', 'maxRetryTime', 'retries']),
  )
})
