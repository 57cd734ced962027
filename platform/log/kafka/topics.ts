/** The topics of the streams: what they are called, and how they must be made. From the one table of streams. */
import type { Admin } from 'kafkajs'
import { type FactStream, type StreamName, type StreamRow, streams } from '../../../schemas/streams.ts'
import { type Clock, sleep } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import type { TopicPartition } from './brokers.ts'
import { isProtocolError } from './client.ts'

export const topicOf = (prefix: string, stream: StreamName): string => `${prefix}${stream}`
/** Where the facts of a partition's tenants stand: the directory is one for all. */
export const factPart = (prefix: string, stream: FactStream, partition: number): TopicPartition => ({
  topic: topicOf(prefix, stream),
  partition: stream === 'directory' ? 0 : partition,
})
/** The group whose members share the partitions among them, and whose offsets say what was taken of the intake. */
export const groupOf = (prefix: string): string => `${prefix}owners`
export const transactionalIdOf = (prefix: string, partition: number): string => `${prefix}owner-${partition}`

/** One record of the largest size, with key and headers; a batch of several stops well below. */
const messageBytesMax = 2 * 1024 * 1024
const msPerDay = 86_400_000

export type TopicPlan = {
  topic: string
  stream: StreamName
  partitionCount: number
  /** Undefined leaves it, and how many of them must be in sync, to the brokers. */
  replicationFactor: number | undefined
  settings: Readonly<Record<string, string>>
}

export type TopicShape = { prefix: string; partitionCount: number; replicationFactor?: number | undefined }

export const topicPlans = ({ prefix, partitionCount, replicationFactor }: TopicShape): TopicPlan[] =>
  streams.map((row) => ({
    topic: topicOf(prefix, row.name),
    stream: row.name,
    partitionCount: row.partitions === 'one' ? 1 : partitionCount,
    replicationFactor,
    settings: settingsOf(row, replicationFactor),
  }))

const settingsOf = ({ keptDays }: StreamRow, replicationFactor: number | undefined): Record<string, string> => ({
  'cleanup.policy': 'delete', // Compaction would leave out facts, and a replay with them.
  'retention.ms': keptDays === null ? '-1' : String(keptDays * msPerDay),
  'retention.bytes': '-1',
  'max.message.bytes': String(messageBytesMax),
  'message.timestamp.type': 'CreateTime',
  ...(replicationFactor !== undefined && { 'min.insync.replicas': String(Math.max(1, replicationFactor - 1)) }),
  'unclean.leader.election.enable': 'false',
})

export type TopicChange =
  | { topic: string; kind: 'create'; partitionCount: number; replicationFactor: number | undefined }
  | { topic: string; kind: 'set'; name: string; from: string; to: string }
  | { topic: string; kind: 'refuse'; problem: string }

const topicResource = 2
/** Kafka's number for a setting that somebody gave this topic. */
const setOnTopic = 1
const brokersDefault = -1

/** What there is against what there should be. Changes nothing. Throws what kafkajs throws. */
export async function diffTopics(admin: Admin, plans: readonly TopicPlan[]): Promise<TopicChange[]> {
  const existing = new Set(await admin.listTopics())
  const there = plans.filter(({ topic }) => existing.has(topic))
  const changes: TopicChange[] = plans.flatMap(({ topic, partitionCount, replicationFactor }) =>
    existing.has(topic) ? [] : [{ topic, kind: 'create' as const, partitionCount, replicationFactor }],
  )
  if (there.length === 0) return changes
  const { topics } = await admin.fetchTopicMetadata({ topics: there.map(({ topic }) => topic) })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: there.map(({ topic }) => ({ type: topicResource, name: topic })),
  })
  for (const { topic, partitionCount, replicationFactor, settings } of there) {
    const found = topics.find((one) => one.name === topic)?.partitions ?? []
    if (found.length !== partitionCount)
      changes.push({
        topic,
        kind: 'refuse',
        problem:
          `it has ${found.length} partitions, ${partitionCount} were asked for. The number of partitions decides where ` +
          `a tenant's facts are and can never change: set PF3_PARTITIONS to ${found.length}, or begin a new installation ` +
          'under another PF3_TOPIC_PREFIX and move tenants to it.',
      })
    const replicas = Math.min(...found.map((one) => one.replicas.length))
    if (found.length > 0 && replicas < (replicationFactor ?? 0))
      changes.push({
        topic,
        kind: 'refuse',
        problem: `a partition has ${replicas} replicas, ${replicationFactor} were asked for: reassign it with kafka-reassign-partitions, then set min.insync.replicas by running this again.`,
      })
    const entries = resources.find(({ resourceName }) => resourceName === topic)?.configEntries ?? []
    for (const [name, to] of Object.entries(settings)) {
      const from = entries.find(({ configName }) => configName === name)?.configValue ?? ''
      if (from !== to) changes.push({ topic, kind: 'set', name, from, to })
    }
  }
  return changes
}

/** Makes and sets what differs. Throws LOG_PARTITIONS_FIXED, and changes nothing, when something must not be changed. */
export async function applyTopics(admin: Admin, plans: readonly TopicPlan[], clock: Clock): Promise<TopicChange[]> {
  const changes = await diffTopics(admin, plans)
  const refused = changes.filter((change) => change.kind === 'refuse')
  if (refused.length > 0)
    throw new PlatformError('LOG_PARTITIONS_FIXED', {
      problem: refused.map(({ topic, problem }) => `${topic}: ${problem}`).join('; '),
    })
  const missing = plans.filter(({ topic }) => changes.some((c) => c.kind === 'create' && c.topic === topic))
  if (missing.length > 0)
    await admin
      .createTopics({
        waitForLeaders: false, // It gives up on the first broker that has not heard of them yet.
        topics: missing.map(({ topic, partitionCount, replicationFactor, settings }) => ({
          topic,
          numPartitions: partitionCount,
          replicationFactor: replicationFactor ?? brokersDefault,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        })),
      })
      .catch((error: unknown) => {
        if (!isProtocolError(error, 'TOPIC_ALREADY_EXISTS')) throw error // Somebody else was faster.
      })
  await allLed(
    admin,
    plans.map(({ topic }) => topic),
    clock,
  )
  const topicsToSet = new Set(changes.flatMap((change) => (change.kind === 'set' ? [change.topic] : [])))
  if (topicsToSet.size > 0) await setAll(admin, plans, topicsToSet)
  return changes
}

/** Kafka replaces all settings of a topic at once, so those that somebody else gave it are said again. */
async function setAll(admin: Admin, plans: readonly TopicPlan[], topics: ReadonlySet<string>): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [...topics].map((name) => ({ type: topicResource, name })),
  })
  await admin.alterConfigs({
    validateOnly: false,
    resources: plans
      .filter(({ topic }) => topics.has(topic))
      .map(({ topic, settings }) => {
        const entries = resources.find(({ resourceName }) => resourceName === topic)?.configEntries ?? []
        const theirs = entries.filter((one) => Number(one.configSource) === setOnTopic)
        const all = { ...Object.fromEntries(theirs.map((one) => [one.configName, one.configValue])), ...settings }
        return {
          type: topicResource,
          name: topic,
          configEntries: Object.entries(all).map(([name, value]) => ({ name, value })),
        }
      }),
  })
}

const leadersWaitMs = 30_000
const leadersLookMs = 20

async function allLed(admin: Admin, topics: string[], clock: Clock): Promise<void> {
  for (const untilMs = clock.nowMs() + leadersWaitMs; ; ) {
    try {
      const found = await admin.fetchTopicMetadata({ topics })
      if (found.topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))) return
    } catch (error) {
      if (!isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE') || clock.nowMs() > untilMs)
        throw error
    }
    await sleep(clock, leadersLookMs)
  }
}
