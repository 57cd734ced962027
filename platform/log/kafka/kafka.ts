/**
 * The log on Apache Kafka: one topic per stream, the same partition number for a tenant in all of them. Requests are
 * appended by anyone, without transactions; facts only by the partition's owner, in transactions together with the offset
 * of the intake. Offsets of facts rise, with gaps where Kafka keeps its markers; `seq` has none.
 */
import type { Producer, RecordMetadata } from 'kafkajs'
import { type FactStream, factStreams, platformTenantId } from '../../../schemas/streams.ts'
import { batcher } from '../../batcher.ts'
import type { Clock } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import { appendCallsBy } from '../append-calls.ts'
import { type BacklogLimits, backlog, backlogDefaults } from '../backlog.ts'
import { advance, checkPartition, checkRead, checkSizes, recordBytesMaxDefault, type Shape } from '../checks.ts'
import type { FactCursor, IntakeRecord, Log, Position, ReadOptions, StoredFact, Tenure } from '../log.ts'
import { partitionOf } from '../partitioner.ts'
import { openAdmins } from './admins.ts'
import { type Assignment, joinOwners } from './assignment.ts'
import { isTooOld, oldestKafka } from './broker-age.ts'
import type { TopicPartition } from './brokers.ts'
import {
  answered,
  type Client,
  farewell,
  type KafkaConnection,
  kafkaClient,
  producerSettings,
  revocableConnection,
  unavailable,
} from './client.ts'
import type { FetchedRecord } from './fetched.ts'
import type { Lane } from './lane.ts'
import { openLanes } from './lanes.ts'
import { memberNote } from './predecessor.ts'
import { acquireTenure, committedOf, type TenureParts } from './tenure.ts'
import { factPart, topicOf } from './topics.ts'

export type KafkaLogOptions = Partial<BacklogLimits> & {
  connection: KafkaConnection
  /** Before the name of every topic, group and transactional id. */
  prefix: string
  partitionCount: number
  clock: Clock
  recordBytesMax?: number
  /** Awaited with the values of every read before it answers: whoever decodes them may have to learn their schemas. */
  beforeDecoding?: (values: readonly Uint8Array[]) => Promise<void>
  /** Keeps who this process is in the group of owners, so that the next one in its place need not wait for its session to end. */
  memberFile?: string
}

const appendRecordsMax = 2_000
const appendBytesMax = 1_000_000
/** Brokers that restart are away for seconds; after this the caller is told that nobody knows. */
const appendMsMax = 30_000
const latest = 'latest'

/** Throws LOG_UNAVAILABLE when no broker answers, they are of a Kafka before 4.0, or a topic is missing, LOG_PARTITIONS_FIXED for another partition count. */
export async function kafkaLog(options: KafkaLogOptions): Promise<Log> {
  const { connection, prefix, partitionCount, clock, beforeDecoding = async () => undefined } = options
  const shape: Shape = { partitionCount, recordBytesMax: options.recordBytesMax ?? recordBytesMaxDefault }
  const limits: BacklogLimits = {
    waitingRecordsMax: options.waitingRecordsMax ?? backlogDefaults.waitingRecordsMax,
    waitingBytesMax: options.waitingBytesMax ?? backlogDefaults.waitingBytesMax,
  }
  const topic = (stream: FactStream | 'intake') => topicOf(prefix, stream)
  const directoryHome = partitionOf(platformTenantId, partitionCount)
  const admins = openAdmins(connection, clock)
  const lanes = openLanes(connection, clock)
  let directorySeen = { end: 0n, afterLast: 0n }
  /** By partition the offset after the last request that was read here. */
  const intakeSeen = new Map<number, bigint>()
  const tenures = new Set<Tenure>()
  /** By partition the one acquired last: what becomes of those before it concerns nobody. */
  const newest = new Map<number, Tenure>()
  const acquiring = new Map<number, Promise<Tenure>>()
  let assignment: Assignment | undefined
  let isClosed = false
  const checkOpen = () => {
    if (isClosed) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the log is closed' })
  }

  await checkTopics()

  async function checkTopics(): Promise<void> {
    try {
      const names = [topic('intake'), ...factStreams.map(topic)]
      if (await isTooOld(connection, clock))
        throw new PlatformError('LOG_UNAVAILABLE', { problem: `brokers of Kafka ${oldestKafka} or later are needed` })
      const { topics } = await admins.ask((admin) => admin.fetchTopicMetadata({ topics: names }))
      const found = topics.find(({ name }) => name === topic('intake'))?.partitions.length ?? 0
      if (found !== partitionCount)
        throw new PlatformError('LOG_PARTITIONS_FIXED', { found, wanted: partitionCount, topic: topic('intake') })
    } catch (error) {
      await admins.close()
      throw unavailable(error, { problem: 'the topics cannot be read; pf3 topics apply makes them' })
    }
  }

  // Appending: one request at a time, so that the order of a key is kept; what comes meanwhile goes with the next.
  const waiting = backlog(limits)
  const appendBatched = batcher(
    appendCallsBy({ recordsMax: appendRecordsMax, bytesMax: appendBytesMax }, appendChunk),
    { itemsMax: appendRecordsMax, waitingMax: limits.waitingRecordsMax },
  )
  type Appender = Client & { connected: Promise<Producer> }
  let appender: Appender | undefined

  function openAppender(): Appender {
    const { revocable, revoke } = revocableConnection(connection)
    const made = kafkaClient(revocable).producer({ idempotent: true, ...producerSettings })
    return { connected: made.connect().then(() => made), disconnect: () => made.disconnect(), revoke }
  }

  async function appendChunk(records: readonly IntakeRecord[]): Promise<Position[]> {
    checkOpen()
    const partitions = records.map(({ key }) => partitionOf(key, partitionCount))
    let answers: RecordMetadata[]
    appender ??= openAppender()
    const used = appender
    try {
      const messages = records.map(({ key, value }, index) => ({
        key,
        value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
        partition: partitions[index] ?? 0,
      }))
      const sent = used.connected.then((one) => one.send({ topic: topic('intake'), acks: -1, messages }))
      answers = await answered(clock, sent, appendMsMax)
      // kafkajs loses those whose leader moves between two tries to a broker that has answered (see `send` of a tenure).
      const confirmed = new Set(answers.map(({ partition }) => partition))
      if (partitions.some((partition) => !confirmed.has(partition))) throw new Error('not all records were confirmed')
    } catch (error) {
      // What of it was written nobody knows; a producer whose sequence is in doubt is not used again, and must not write
      // later, after what others were answered meanwhile.
      if (appender === used) appender = undefined
      used.revoke()
      void farewell(clock, used)
      throw unavailable(error, { records: records.length })
    }
    const next = new Map(answers.map(({ partition, baseOffset }) => [partition, BigInt(baseOffset ?? '-1')]))
    return partitions.map((partition) => {
      const offset = next.get(partition) ?? -1n
      next.set(partition, offset + 1n)
      return { partition, offset }
    })
  }

  // Reading.
  const intakePart = (partition: number): TopicPartition => ({ topic: topic('intake'), partition })
  const streamsAt = (partition: number): FactStream[] =>
    factStreams.filter((stream) => stream !== 'directory' || partition === directoryHome)
  const factParts = (partition: number): TopicPartition[] =>
    streamsAt(partition).map((stream) => factPart(prefix, stream, partition))
  const directoryPart: TopicPartition = { topic: topic('directory'), partition: 0 }

  /** Records of one topic from `offset` on. */
  function readTopic(
    part: TopicPartition,
    offset: bigint,
    { recordsMax, waitMs, signal }: ReadOptions,
  ): Promise<FetchedRecord[]> {
    const of = part.topic
    return lanes.during(
      [part],
      String(offset),
      (lane) => lane.seek({ [of]: offset }),
      async (lane) => {
        await lane.fill(() => lane.buffered(of).length > 0, waitMs, { signal })
        const result = signal?.aborted ? [] : lane.take(of, recordsMax)
        await beforeDecoding(result.map(({ value }) => value))
        return { result, at: String((result.at(-1)?.offset ?? offset - 1n) + 1n) }
      },
    )
  }

  /** Runs `use` on a lane that stands nowhere in particular. */
  const glance = <Result>(parts: TopicPartition[], use: (lane: Lane) => Promise<Result>): Promise<Result> =>
    lanes.during(
      parts,
      latest,
      () => undefined,
      async (lane) => ({ result: await use(lane), at: latest }),
    )

  /** Offset after the last record of one topic, with what is written and not committed. */
  const endOf = (part: TopicPartition): Promise<bigint> =>
    glance([part], async (lane) => (await lane.ends()).get(part.topic) ?? 0n)

  type Merged = { facts: StoredFact[]; lacking: ReadonlySet<string> }

  /**
   * Facts that follow `afterSeq` without a gap, whole commits only unless `recordsMax` ends inside one; and the topics that
   * the next fact can still come from.
   */
  function merged(lane: Lane, partition: number, afterSeq: number, recordsMax: number): Merged {
    const heads = streamsAt(partition).map((stream) => ({ stream, records: lane.buffered(topic(stream)), at: 0 }))
    const found: StoredFact[] = []
    let whole = 0
    for (let seq = afterSeq + 1; found.length < recordsMax; seq++) {
      const head = heads.find((one) => {
        for (; (one.records[one.at]?.seq ?? seq) < seq; one.at++);
        return one.records[one.at]?.seq === seq
      })
      const record = head?.records[head.at]
      if (!head || !record) break
      const { key, value, offset, last } = record
      found.push({ stream: head.stream, key, value, seq: BigInt(seq), offset })
      if (last === seq) whole = found.length
      head.at++
    }
    const facts = found.length >= recordsMax ? found : found.slice(0, whole)
    // A topic with a later fact in memory has none before it: only what is read to the end of its buffer is lacking.
    const lacking = heads.filter(({ records, at }) => at >= records.length).map(({ stream }) => topic(stream))
    return { facts, lacking: new Set(lacking) }
  }

  async function readFacts(partition: number, cursor: FactCursor, readOptions: ReadOptions) {
    const { recordsMax, waitMs, signal } = readOptions
    const parts = factParts(partition)
    return lanes.during(
      parts,
      String(cursor.seq),
      (lane) => lane.seek(Object.fromEntries(factStreams.map((stream) => [topic(stream), cursor.offsets[stream]]))),
      async (lane) => {
        let found: Merged = { facts: [], lacking: new Set() }
        const takeUpTo = (seq: number) => {
          for (const { topic: of } of parts) {
            const later = lane.buffered(of).findIndex((record) => record.seq > seq)
            lane.take(of, later < 0 ? lane.buffered(of).length : later)
          }
        }
        const isThere = () => {
          if (found.facts.length > 0) return true
          // Offsets of a cursor are lower bounds. What comes before it must not fill the room of what comes after.
          takeUpTo(Number(cursor.seq))
          found = merged(lane, partition, Number(cursor.seq), recordsMax)
          return found.facts.length > 0
        }
        await lane.fill(isThere, waitMs, { signal, lacking: () => found.lacking })
        const facts = signal?.aborted ? [] : found.facts
        const last = facts.at(-1)?.seq ?? cursor.seq
        takeUpTo(Number(last))
        await beforeDecoding(facts.map(({ value }) => value))
        return { result: { facts, cursor: advance(partition, cursor, facts) }, at: String(last) }
      },
    )
  }

  /** Offset after the last fact of the directory: markers behind it are none, so it is looked for backwards. */
  const directoryEnd = (): Promise<bigint> =>
    glance([directoryPart], async (lane) => {
      const of = directoryPart.topic
      const end = (await lane.ends()).get(of) ?? 0n
      for (let back = 2n; end !== directorySeen.end; back *= 8n) {
        const from = end > back ? end - back : 0n
        lane.seek({ [of]: from })
        // Never enough: all that is there is read. Of it only the last counts, and what comes before must not fill its room.
        const isWhole = await lane.fill(() => {
          lane.take(of, lane.buffered(of).length - 1)
          return false
        }, 0)
        const last = lane.buffered(of).at(-1)
        if (!last && from > 0n) continue
        const seen = { end, afterLast: last ? last.offset + 1n : 0n }
        // What is undecided now may be decided by the next time, without the end being another.
        if (!isWhole) return seen.afterLast
        directorySeen = seen
      }
      return directorySeen.afterLast
    })

  /** Whether a fact of the partition was ever committed. What was written and aborted is none. */
  const hasFacts = (partition: number): Promise<boolean> =>
    glance(factParts(partition), async (lane) => {
      const isThere = () => factParts(partition).some((part) => lane.buffered(part.topic).length > 0)
      lane.seek({})
      const isWhole = await lane.fill(isThere, 0)
      if (!isWhole && !isThere()) throw new PlatformError('LOG_UNAVAILABLE', { partition, problem: 'it is undecided' })
      return isThere()
    })

  const tenureParts: TenureParts = {
    connection,
    prefix,
    shape,
    clock,
    admins,
    async hasIntake(partition, offset) {
      if (offset <= (intakeSeen.get(partition) ?? 0n)) return true
      return offset <= (await endOf(intakePart(partition)))
    },
    hasFacts,
    onDead(tenure, why) {
      tenures.delete(tenure)
      if (newest.get(tenure.partition) !== tenure) return
      if (why === 'LOG_FENCED') assignment?.fenced(tenure.partition)
      else assignment?.doubted(tenure.partition)
    },
    onReleased: (tenure) => void tenures.delete(tenure),
  }

  async function acquireNext(partition: number, before: Promise<Tenure> | undefined): Promise<Tenure> {
    await before?.catch(() => undefined)
    await assignment?.confirmed(partition)
    newest.delete(partition)
    const tenure = await acquireTenure(partition, tenureParts)
    tenures.add(tenure)
    newest.set(partition, tenure)
    return tenure
  }

  return {
    ...shape,
    sharesPartitions: true,
    async append(records) {
      checkSizes(records, shape)
      if (records.length === 0) return []
      checkOpen()
      return waiting.during(records, () => appendBatched(records))
    },
    async readIntake(partition, offset, readOptions) {
      checkPartition(partition, shape)
      checkRead(readOptions)
      const records = await readTopic(intakePart(partition), offset, readOptions)
      records.forEach((record, index) => {
        if (record.offset !== offset + BigInt(index))
          throw new PlatformError('LOG_GAP', { partition, expected: offset + BigInt(index), found: record.offset })
      })
      const next = offset + BigInt(records.length)
      if (next > (intakeSeen.get(partition) ?? 0n)) intakeSeen.set(partition, next)
      return records.map(({ key, value, offset: at }) => ({ key, value, offset: at }))
    },
    async readFacts(partition, cursor, readOptions) {
      checkPartition(partition, shape)
      checkRead(readOptions)
      return readFacts(partition, cursor, readOptions)
    },
    async readDirectory(offset, readOptions) {
      checkRead(readOptions)
      const records = await readTopic(directoryPart, offset, readOptions)
      return records.map((record) => ({ offset: record.offset, value: record.value, seq: BigInt(record.seq) }))
    },
    directoryEnd,
    async committed(partition) {
      checkPartition(partition, shape)
      checkOpen()
      return committedOf(partition, tenureParts)
    },
    async intakeEnd(partition) {
      checkPartition(partition, shape)
      return endOf(intakePart(partition))
    },
    async join(listener) {
      checkOpen()
      const note = options.memberFile === undefined ? undefined : memberNote(options.memberFile)
      assignment = await joinOwners({ connection, prefix, partitionCount, clock, note }, listener)
      return async () => {
        await assignment?.leave()
        assignment = undefined
      }
    },
    async acquire(partition) {
      checkPartition(partition, shape)
      checkOpen()
      // One after another, so that of two in this process the one that asked last is the one that is left.
      const before = acquiring.get(partition)
      const acquired = acquireNext(partition, before)
      acquiring.set(partition, acquired)
      return acquired
    },
    async close() {
      isClosed = true
      await lanes.close()
      await assignment?.leave().catch(() => undefined)
      await Promise.allSettled(acquiring.values()) // What is acquired now is given up as well.
      await Promise.all([...tenures].map((tenure) => tenure.release()))
      await farewell(clock, appender)
      await admins.close()
    },
  }
}
