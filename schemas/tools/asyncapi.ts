/** The streams as an AsyncAPI 3.0 document, made from the table of streams and the Avro schemas. */
import { type AvroRecord, parseEventSchema, subjectOf } from '../avro-schema.ts'
import type { EventName } from '../codec.ts'
import { streamOf } from '../events.generated.ts'
import { type StreamName, type StreamRow, streams } from '../streams.ts'

/** The one stream that others than PF-3 read; every other one may change without notice to them. */
const published: ReadonlySet<StreamName> = new Set(['billing'])

const kafkaBinding = '0.5.0'
const avroFormat = 'application/vnd.apache.avro;version=1.9.0'

/** `own`: schema text of every event by name. */
export function asyncApiOf(own: ReadonlyMap<EventName, string>) {
  const events = [...own].map(([name, text]) => ({ name, stream: streamOf[name], schema: parseEventSchema(text) }))
  const namesIn = (stream: StreamName) => events.filter((event) => event.stream === stream).map(({ name }) => name)
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'PF-3 streams',
      version: '1',
      description:
        'Records are Avro in Confluent’s wire format: the byte 0, the id of the writer’s schema in four bytes, big-endian, and the record. Amounts of money are whole numbers of pico-units, 10⁻¹² of the currency’s main unit. Only the stream `billing` is published: docs/billing-feed.md says how to read it. The others are internal and described for those who run PF-3.',
    },
    defaultContentType: 'avro/binary',
    channels: Object.fromEntries(streams.map((stream) => [stream.name, channel(stream, namesIn(stream.name))])),
    operations: Object.fromEntries(streams.map(({ name }) => [name === 'intake' ? 'ask' : `tell-${name}`, send(name)])),
    components: {
      messages: Object.fromEntries(events.map(({ name, stream, schema }) => [name, message(stream, schema)])),
    },
  }
}

function channel({ name, holds, writtenBy, partitions, keptDays }: StreamRow, events: readonly EventName[]) {
  const writer = {
    owner: 'in Kafka transactions, by the owner of the partition alone: read committed',
    doors: 'without transactions, by whoever takes requests in',
  }[writtenBy]
  const isPublished = published.has(name)
  return {
    address: `{prefix}${name}`,
    title: name,
    summary: `${capital(holds)}. ${isPublished ? 'Published: this is a contract.' : 'Internal: not a contract.'}`,
    description: [
      `Written ${writer}.`,
      partitions === 'one'
        ? 'One partition.'
        : 'The key is the tenant’s id in UTF-8, the partition is that of Kafka’s default partitioner (murmur2).',
      `Kept ${keptDays === null ? 'always' : `${keptDays} days`}.`,
    ].join(' '),
    tags: [{ name: isPublished ? 'published' : 'internal' }],
    parameters: {
      prefix: { description: 'What the topics of one installation begin with.', default: 'pf3.' },
    },
    messages: Object.fromEntries(events.map((event) => [event, { $ref: `#/components/messages/${event}` }])),
    bindings: {
      kafka: {
        ...(partitions === 'one' && { partitions: 1 }),
        topicConfiguration: {
          'confluent.value.subject.name.strategy': 'io.confluent.kafka.serializers.subject.TopicRecordNameStrategy',
        },
        bindingVersion: kafkaBinding,
      },
    },
  }
}

const send = (stream: StreamName) => ({
  action: 'send',
  channel: { $ref: `#/channels/${stream}` },
  summary: stream === 'intake' ? 'What is asked of PF-3.' : 'What has happened in PF-3.',
})

const message = (stream: StreamName, schema: AvroRecord & { namespace: string }) => ({
  name: `${schema.namespace}.${schema.name}`,
  title: schema.name,
  ...(schema.doc !== undefined && { summary: schema.doc }),
  correlationId: { location: '$message.payload#/correlationId' },
  payload: { schemaFormat: avroFormat, schema },
  bindings: {
    kafka: {
      key: { type: 'string', description: 'Id of the tenant.' },
      schemaIdLocation: 'payload',
      schemaIdPayloadEncoding: 'confluent',
      schemaLookupStrategy: 'TopicRecordNameStrategy',
      bindingVersion: kafkaBinding,
    },
  },
  /** Subject in the registry. */
  'x-subject': `{prefix}${subjectOf(stream, schema)}`,
})

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
