/** Reads the billing topic: committed records only, from a position to the end as it was at the start. */
import { randomUUID } from 'node:crypto'
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import avro from 'avsc'
import { type EachBatchPayload, Kafka, logLevel } from 'kafkajs'

export type RatedLine = { lineId: string; kind: string; quantity: bigint; pricePico: bigint; amountPico: bigint }
/** What this program reads of a JobRated; a record has more, and may come to have more still. */
export type JobRated = {
  eventId: string
  tenantId: string
  jobId: string
  currency: string
  billingPeriod: string
  chargedPico: bigint
  lines: RatedLine[]
}
export type Batch = { partition: number; nextOffset: bigint; records: number; facts: JobRated[] }

export type Login = { username: string; password: string }
export type FeedOptions = {
  brokers: string[]
  /** Whether brokers are spoken to by TLS. */
  isTls: boolean
  /** For SASL SCRAM-SHA-512 with the brokers. */
  login: Login | undefined
  registryUrl: string
  /** For basic authentication with the registry. */
  registryLogin: Login | undefined
  topic: string
  idleSecondsMax: number
}
export type Feed = {
  /** Id of the Kafka cluster: an offset means something only there. */
  cluster: string
  /** Hands every batch to `take`, in order per partition. `from`: the next offset of partitions read before. */
  read(from: ReadonlyMap<number, bigint>, take: (batch: Batch) => void): Promise<void>
  close(): Promise<void>
}

/** Something about the feed that this program must not pass over. */
export class FeedError extends Error {}

type Place = { next: bigint; readonly end: bigint }

const jobRatedName = 'webwaka.pf3.billing.JobRated'

export async function openFeed(options: FeedOptions): Promise<Feed> {
  const { brokers, isTls, login, registryUrl, registryLogin, topic, idleSecondsMax } = options
  const kafka = new Kafka({
    clientId: 'billing-consumer',
    brokers,
    ssl: isTls, // What is spoken, and to whom, is said in consume.ts for everything at once.
    ...(login && { sasl: { mechanism: 'scram-sha-512', ...login } }),
    logLevel: logLevel.NOTHING,
    retry: { retries: 4 },
  })
  const registry = new SchemaRegistry(
    { host: registryUrl, ...(registryLogin && { auth: registryLogin }) },
    { [SchemaType.AVRO]: exactNumbers },
  )
  const admin = kafka.admin()
  await admin.connect().catch((cause) => {
    throw new FeedError(`No broker of ${brokers.join(', ')} answers`, { cause })
  })
  const { clusterId } = await admin.describeCluster()

  /** Where each partition starts and ends for this run. The end is that of what is committed (the last stable offset). */
  async function plan(from: ReadonlyMap<number, bigint>) {
    const offsets = await admin.fetchTopicOffsets(topic).catch((cause) => {
      throw new FeedError(`Topic ${topic} cannot be read`, { cause })
    })
    return new Map<number, Place>(
      offsets.map(({ partition, low, high }) => {
        const [first, end] = [BigInt(low), BigInt(high)]
        const next = from.get(partition)
        if (next !== undefined && (next < first || next > end)) {
          throw new FeedError(
            `Partition ${partition} of ${topic} has offsets ${first} to ${end}, but ${next} is next: records are missing. Begin anew, without the stored state`,
          )
        }
        if (next === undefined && first > 0n) {
          console.error(`Partition ${partition} begins at offset ${first}: older facts are in the archive only.`)
        }
        return [partition, { next: next ?? first, end }] satisfies [number, Place]
      }),
    )
  }

  async function decode(value: Buffer | null, at: string): Promise<JobRated> {
    if (value === null || value.length < 5 || value[0] !== 0) throw new FeedError(`${at}: not a record of a registry`)
    const id = value.readUInt32BE(1)
    const schema = await registry.getSchema(id).catch((cause) => {
      throw new FeedError(`${at}: the registry gives no schema for id ${id}`, { cause })
    })
    const name = 'name' in schema ? schema.name : undefined
    // A kind of fact that is not known here may change a balance: to skip it would be to be wrong without a word.
    if (name !== jobRatedName) throw new FeedError(`${at}: ${name} is newer than this program; take a newer program`)
    try {
      return (await registry.decode(value)) as JobRated // By the writer's schema, which is always compatible.
    } catch (cause) {
      throw new FeedError(`${at}: not a ${name}`, { cause })
    }
  }

  async function read(from: ReadonlyMap<number, bigint>, take: (batch: Batch) => void): Promise<void> {
    const partitions = await plan(from)
    const isDone = () => [...partitions.values()].every(({ next, end }) => next >= end)
    if (isDone()) return
    const groupId = `billing-consumer-${randomUUID()}` // kafkajs reads through a group only; ours lasts for one run.
    const consumer = kafka.consumer({
      groupId,
      readUncommitted: false,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: 200,
    })
    let lastTrouble = ''
    const ended = Promise.withResolvers<void>()
    const idle = setTimeout(
      () => ended.reject(new FeedError(`Nothing new of ${topic} for ${idleSecondsMax} s. ${lastTrouble}`)),
      idleSecondsMax * 1_000,
    )
    let isFailed = false

    /** Takes what lies before the end. `last` is the offset of the last record, also of one nobody is shown. */
    async function advance(partition: number, last: bigint, messages: EachBatchPayload['batch']['messages']) {
      const place = partitions.get(partition)
      if (!place || isFailed || last < place.next) return
      const mine = messages.filter(({ offset }) => BigInt(offset) >= place.next && BigInt(offset) < place.end)
      const facts: JobRated[] = []
      for (const { value, offset } of mine) facts.push(await decode(value, `Partition ${partition}, offset ${offset}`))
      const nextOffset = last + 1n < place.end ? last + 1n : place.end
      take({ partition, nextOffset, records: mine.length, facts })
      place.next = nextOffset
      idle.refresh()
      if (isDone()) ended.resolve()
    }
    // kafkajs would start over after an error in here, so none may leave.
    const guarded = (work: Promise<void>) =>
      work.catch((error: unknown) => {
        isFailed = true
        ended.reject(error)
      })

    const { GROUP_JOIN, END_BATCH_PROCESS, CRASH } = consumer.events
    // At every start over, and before anything is fetched after it.
    consumer.on(GROUP_JOIN, () => {
      for (const [partition, { next, end }] of partitions) {
        if (next >= end) consumer.pause([{ topic, partitions: [partition] }])
        else consumer.seek({ topic, partition, offset: String(next) })
      }
    })
    // Batches with nothing but ends of transactions and aborted records are reported here only.
    consumer.on(END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0 && payload.firstOffset !== null)
        void guarded(advance(payload.partition, BigInt(payload.lastOffset), []))
    })
    consumer.on(CRASH, ({ payload }) => {
      lastTrouble = payload.error.message
      if (!payload.restart) ended.reject(new FeedError(`Reading ${topic} failed`, { cause: payload.error }))
    })
    try {
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatch: ({ batch }) => guarded(advance(batch.partition, BigInt(batch.lastOffset()), batch.messages)),
      })
      await ended.promise
    } finally {
      clearTimeout(idle)
      await consumer.disconnect()
      await admin.deleteGroups([groupId]).catch(() => undefined) // It expires by itself.
    }
  }

  return { cluster: clusterId, read, close: () => admin.disconnect() }
}

/** Avro `long` and `decimal` as bigint: a JavaScript number is exact up to 2⁵³ only. */
const longAsBigint = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: (json: number | string) => BigInt(json),
  toJSON: (value: bigint) => String(value),
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

/** Decimals of scale 0: two's complement, big-endian. */
class WholeDecimal extends avro.types.LogicalType {
  protected override _fromValue(bytes: Buffer): bigint {
    return bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
  }
  protected override _toValue(): undefined {
    return undefined // Only read here.
  }
}

const exactNumbers: Partial<avro.ForSchemaOptions> = {
  logicalTypes: { decimal: WholeDecimal },
  typeHook: (part: unknown) =>
    part === 'long' || (typeof part === 'object' && part !== null && 'type' in part && part.type === 'long')
      ? longAsBigint
      : undefined,
}
