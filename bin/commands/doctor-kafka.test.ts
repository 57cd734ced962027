import { expect, onTestFinished, test } from 'vitest'
import { standIn } from '../../platform/log/kafka/testing/stand-in.ts'
import { examineKafka } from './doctor-kafka.ts'

test.each([
  ['of Kafka 4', undefined, { what: 'brokers', found: '1 in the cluster' }],
  ['before Kafka 4', 0, { what: 'brokers', problem: 'they are older than Kafka 4.0' }],
])('doctor says what it thinks of brokers %s', async (_, fetchOldest, expected) => {
  const brokers = await standIn(['intake'], fetchOldest)
  onTestFinished(() => brokers.close())
  const connection = { brokers: brokers.connection.brokers }
  const registry = { url: 'http://127.0.0.1:9' }
  const found = await examineKafka({ connection, topicPrefix: '', replicationFactor: 1, registry }, 1)
  expect(found[0]).toMatchObject(expected)
})
