/** `pf3 topics apply|diff`: makes topics and schemas of the Kafka profile as this build needs them, or says what differs. */
import type { Admin } from 'kafkajs'
import { systemClock as clock } from '../../platform/clock.ts'
import { kafkaClient, unavailable } from '../../platform/log/kafka/client.ts'
import {
  applyTopics,
  diffTopics,
  type TopicChange,
  type TopicPlan,
  topicPlans,
} from '../../platform/log/kafka/topics.ts'
import { applySchemas, diffSchemas, type RegistryParts, type SchemaChange } from '../../platform/registry/registry.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import { ConfigError, readConfig } from '../config.ts'
import { printLine, toJson } from '../print.ts'

type Found = { topics: TopicChange[]; schemas: SchemaChange[] }

/** Ends with 1 when anything differs. */
export async function topicsDiff(given: { json?: boolean }): Promise<void> {
  const found = await withKafka(async (admin, plans, registry) => ({
    topics: await diffTopics(admin, plans),
    schemas: await diffSchemas(registry),
  }))
  if (found.topics.length + found.schemas.length > 0) process.exitCode = 1
  print(found, given, 'Everything is as it should be.')
}

/** Changes nothing when a topic cannot be brought to what is asked for. Applied again it changes nothing. */
export async function topicsApply(given: { json?: boolean }): Promise<void> {
  const done = await withKafka(async (admin, plans, registry) => ({
    topics: await applyTopics(admin, plans, clock),
    schemas: await applySchemas(registry),
  }))
  print(done, given, 'There was nothing to do.')
}

async function withKafka(
  run: (admin: Admin, plans: readonly TopicPlan[], registry: RegistryParts) => Promise<Found>,
): Promise<Found> {
  const { kafka, partitionCount } = readConfig(process.env)
  if (!kafka) throw new ConfigError(['PF3_PROFILE: kafka was expected; on the embedded profile there are no topics'])
  const { topicPrefix: prefix, replicationFactor } = kafka
  const admin = kafkaClient(kafka.connection).admin()
  try {
    await admin.connect()
    return await run(admin, topicPlans({ prefix, partitionCount, replicationFactor }), {
      connection: kafka.registry,
      prefix,
      own: readOwnSchemas(),
      clock,
    })
  } catch (error) {
    throw unavailable(error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

function print({ topics, schemas }: Found, { json }: { json?: boolean }, nothing: string): void {
  if (json) return printLine(toJson({ topics, schemas }, 2))
  for (const change of topics) printLine(`${change.topic}: ${toText(change)}`)
  for (const { subject } of schemas) printLine(`${subject}: register`)
  if (topics.length + schemas.length === 0) printLine(nothing)
}

function toText(change: TopicChange): string {
  switch (change.kind) {
    case 'create':
      return `create with ${change.partitionCount} partitions, ${change.replicationFactor ?? "the brokers' number of"} replicas`
    case 'set':
      return `set ${change.name} from ${change.from === '' ? 'nothing' : change.from} to ${change.to}`
    case 'refuse':
      return change.problem
  }
}
