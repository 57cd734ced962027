/** What `pf3 doctor` looks at on the Kafka profile: brokers, topics, schemas, and how far the owners have come. */
import type { Admin } from 'kafkajs'
import { systemClock as clock, sleep, within } from '../../platform/clock.ts'
import { isTooOld, oldestKafka } from '../../platform/log/kafka/broker-age.ts'
import { isProtocolError, kafkaClient } from '../../platform/log/kafka/client.ts'
import { intakeLag } from '../../platform/log/kafka/lag.ts'
import { diffTopics, topicPlans } from '../../platform/log/kafka/topics.ts'
import { diffSchemas } from '../../platform/registry/registry.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import type { KafkaConfig } from '../kafka-config.ts'
import type { Finding } from './finding.ts'

const askMsMax = 8_000
const brokerResource = 4
/** What brokers keep by default: an installation that stood still for longer has lost how far it was. */
const retentionMinutesMin = 7 * 24 * 60
const lagRequestsMax = 10_000n

const remedyForTopics = 'Run pf3 topics apply; what it refuses, it explains.'

/** Changes nothing. Ends within seconds, also when nobody answers. */
export async function examineKafka(kafka: KafkaConfig, partitionCount: number): Promise<Finding[]> {
  const { connection, topicPrefix: prefix, replicationFactor } = kafka
  const admin = kafkaClient(connection).admin()
  try {
    const brokers = await asked('brokers', remedyForBrokers, async () => {
      await admin.connect()
      const { brokers: found } = await admin.describeCluster()
      const away = (await Promise.all(connection.brokers.map((one) => isAway(connection, one)))).flat()
      if (away.length > 0)
        return { what: 'brokers', problem: `no answer from ${away.join(', ')}`, remedy: remedyForBrokers }
      if (await isTooOld(connection, clock))
        return { what: 'brokers', problem: `they are older than Kafka ${oldestKafka}`, remedy: remedyForAge }
      return { what: 'brokers', found: `${found.length} in the cluster` }
    })
    if ('problem' in brokers && brokers.problem.startsWith('no answer at all')) return [brokers, await schemas(kafka)]
    return [
      brokers,
      await asked('offsets of the owners', remedyForRetention, () => retention(admin)),
      await asked('topics', remedyForTopics, async () => {
        const changes = await diffTopics(admin, topicPlans({ prefix, partitionCount, replicationFactor }))
        if (changes.length === 0) return { what: 'topics', found: `${prefix}*: as they should be` }
        const names = [...new Set(changes.map(({ topic }) => topic))]
        return { what: 'topics', problem: `${names.join(', ')} differ`, remedy: remedyForTopics }
      }),
      await schemas(kafka),
      await asked('requests not yet taken', remedyForLag, () => lag(admin, prefix)),
    ]
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

const remedyForBrokers =
  'See that they run and can be reached from here, and that PF3_KAFKA_BROKERS, PF3_KAFKA_TLS, PF3_KAFKA_CA_FILE and the login are right.'
const remedyForAge = `Update them to Kafka ${oldestKafka} or later; no process starts before.`
const remedyForRetention =
  'Set offsets.retention.minutes of the brokers higher than the longest time that no owner runs.'
const remedyForLag = 'See that a process with the role owner runs for every partition, and what its log says.'

async function isAway(connection: KafkaConfig['connection'], broker: string): Promise<string[]> {
  const admin = kafkaClient({ ...connection, brokers: [broker] }).admin()
  try {
    await within(clock, admin.connect(), askMsMax / 2, () => new Error('late'))
    return []
  } catch {
    return [broker]
  } finally {
    void admin.disconnect().catch(() => undefined)
  }
}

async function retention(admin: Admin): Promise<Finding> {
  const what = 'offsets of the owners'
  const { brokers } = await admin.describeCluster()
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: brokers.map(({ nodeId }) => ({
      type: brokerResource,
      name: String(nodeId),
      configNames: ['offsets.retention.minutes'],
    })),
  })
  const minutes = Math.min(
    ...resources.flatMap(({ configEntries }) => configEntries.map((one) => Number(one.configValue))),
  )
  if (minutes > retentionMinutesMin)
    return { what, found: `kept for ${Math.floor(minutes / 1_440)} days without an owner` }
  return { what, problem: `forgotten when no owner runs for ${minutes / 1_440} days`, remedy: remedyForRetention }
}

async function schemas({ registry: connection, topicPrefix: prefix }: KafkaConfig): Promise<Finding> {
  const what = 'schemas'
  const remedy = 'See that the registry runs and that PF3_REGISTRY_URL and its login are right.'
  return asked(what, remedy, async () => {
    const missing = await diffSchemas({ connection, prefix, own: readOwnSchemas(), clock })
    if (missing.length === 0) return { what, found: 'all are registered' }
    return { what, problem: `${missing.length} are not registered`, remedy: remedyForTopics }
  })
}

async function lag(admin: Admin, prefix: string): Promise<Finding> {
  const what = 'requests not yet taken'
  const behind = await onceCoordinated(() => intakeLag(admin, prefix))
  const most = behind.reduce((max, { requests }) => (requests > max ? requests : max), 0n)
  if (most <= lagRequestsMax) return { what, found: `at most ${most} of a partition` }
  return { what, problem: `${most} of a partition`, remedy: remedyForLag }
}

/** On a cluster that nobody has used yet, and after a broker has gone, no broker knows for a moment that a group is its own. */
const notCoordinated = ['NOT_COORDINATOR_FOR_GROUP', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'GROUP_LOAD_IN_PROGRESS']
const lookAgainMs = 100

async function onceCoordinated<Result>(ask: () => Promise<Result>): Promise<Result> {
  for (const untilMs = clock.nowMs() + askMsMax; ; await sleep(clock, lookAgainMs)) {
    try {
      return await ask()
    } catch (error) {
      if (!isProtocolError(error, ...notCoordinated) || clock.nowMs() > untilMs) throw error
    }
  }
}

async function asked(what: string, remedy: string, run: () => Promise<Finding>): Promise<Finding> {
  try {
    return await within(clock, run(), askMsMax, () => new Error(`no answer at all within ${askMsMax} ms`))
  } catch (error) {
    return { what, problem: error instanceof Error ? error.message : String(error), remedy }
  }
}
