/** Writes billing facts as an owner does: one transactional writer per partition, records as in the registry. */
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { Kafka, type KafkaConfig, logLevel, type Producer } from 'kafkajs'
import { partitionOf } from '../../platform/log/partitioner.ts'
import { avroType, codecFor } from '../../schemas/codec.ts'
import type { JobRated } from '../../schemas/events.generated.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'

export const partitionCount = 3

const ownSchema = readOwnSchemas().get('JobRated') ?? ''

/** A version that may come: one more optional field, one more kind of line. */
const laterSchema = JSON.stringify(
  JSON.parse(ownSchema, (key, value: unknown) => {
    if (key === 'symbols' && Array.isArray(value) && value.includes('platform_fee')) return [...value, 'monthly_fee']
    return value
  }),
).replace(/\]\}$/, ',{"name":"plan","type":["null","string"],"doc":"Plan of the tenant.","default":null}]}')

/** A kind of fact that is not there yet. */
const otherSchema = JSON.stringify({
  type: 'record',
  name: 'FeeCharged',
  namespace: 'webwaka.pf3.billing',
  fields: [{ name: 'eventId', type: 'string' }],
})

export type FeedWriter = Awaited<ReturnType<typeof openFeedWriter>>

export async function openFeedWriter(
  brokers: string,
  registryUrl: string,
  topic: string,
  access: Pick<KafkaConfig, 'ssl' | 'sasl'> = {},
) {
  const kafka = new Kafka({
    clientId: 'billing-feed-test',
    ...access,
    brokers: brokers.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 12 },
  })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic, numPartitions: partitionCount, replicationFactor: 1 }],
    waitForLeaders: true,
  })

  const registry = new SchemaRegistry({ host: registryUrl })
  const register = async (name: string, schema: string) => {
    const options = { subject: `${topic}-webwaka.pf3.billing.${name}`, compatibility: COMPATIBILITY.FULL_TRANSITIVE }
    return (await registry.register({ type: SchemaType.AVRO, schema }, options)).id
  }
  const id = await register('JobRated', ownSchema)
  const codec = codecFor(
    { idOf: () => id, schemaOf: () => ({ name: 'JobRated', schema: ownSchema }) },
    new Map([['JobRated', ownSchema]]),
  )

  const producers = new Map<number, Producer>()
  async function producerOf(partition: number): Promise<Producer> {
    const known = producers.get(partition)
    if (known) return known
    const made = kafka.producer({
      transactionalId: `${topic}-${partition}`,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
    })
    await made.connect()
    producers.set(partition, made)
    return made
  }

  /** One transaction on one partition. */
  async function write(records: readonly { key: string; value: Buffer }[], end: 'commit' | 'abort'): Promise<void> {
    const partitions = new Set(records.map(({ key }) => partitionOf(key, partitionCount)))
    const [partition] = partitions
    if (partition === undefined || partitions.size > 1) throw new Error('A transaction is of one partition.')
    const transaction = await (await producerOf(partition)).transaction()
    await transaction.send({ topic, messages: records.map((record) => ({ ...record, partition })) })
    await transaction[end]()
  }

  return {
    admin,
    write,
    encode: (fact: JobRated) => ({ key: fact.tenantId, value: codec.encode(fact) }),
    /** The fact as a later build writes it, whose lines are of a kind that is new. */
    async encodeLater(fact: JobRated) {
      const record = { ...fact, plan: 'gold', lines: fact.lines.map((line) => ({ ...line, kind: 'monthly_fee' })) }
      return { key: fact.tenantId, value: wire(await register('JobRated', laterSchema), laterSchema, record) }
    },
    async encodeOther(tenantId: string) {
      const value = wire(await register('FeeCharged', otherSchema), otherSchema, { eventId: 'evt_other' })
      return { key: tenantId, value }
    },
    async close() {
      for (const producer of producers.values()) await producer.disconnect()
      await admin.deleteTopics({ topics: [topic] })
      await admin.disconnect()
    },
  }
}

function wire(id: number, schema: string, record: object): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, avroType(schema).toBuffer(record)])
}
