/**
 * The right to write one partition's facts on Kafka: a transactional id, which is the partition's. Whoever
 * initialises that id next fences this one. Facts, and how far the intake was taken, are one transaction.
 */
import { type FactStream, factStreams } from '../../../schemas/streams.ts'
import type { Clock } from '../../clock.ts'
import { sleep, within } from '../../clock.ts'
import { isFailure, PlatformError } from '../../errors.ts'
import { checkCommit, type Shape } from '../checks.ts'
import type { Committed, FactEnds, FactRecord, Tenure } from '../log.ts'
import type { Admins } from './admins.ts'
import { isProtocolError, type KafkaConnection, unavailable } from './client.ts'
import { factPart, groupOf, topicOf, transactionalIdOf } from './topics.ts'
import { openTransactions, type TopicRecords, type Transactions } from './transactions.ts'

export type TenureParts = {
  connection: KafkaConnection
  prefix: string
  shape: Shape
  clock: Clock
  admins: Admins
  /** Whether the intake of the partition reaches up to `offset`, which is the one after its last request or less. */
  hasIntake(partition: number, offset: bigint): Promise<boolean>
  /** Whether facts of the partition stand in the log. */
  hasFacts(partition: number): Promise<boolean>
  /** Called once when the tenure has ended by itself: fenced, or not knowing what became of its commit. */
  onDead(tenure: Tenure, why: 'LOG_FENCED' | 'LOG_COMMIT_UNKNOWN'): void
  /** Called once when it was given up. */
  onReleased(tenure: Tenure): void
}

/** An owner that dies holds back its readers for this long, unless another one fences it before. */
const transactionTimeoutMs = 15_000
/** Of values in one request: well below what a topic takes in one batch. */
const batchBytesMax = 1_000_000
/** After this a broker has given a transaction up by itself. */
const commitMsMax = transactionTimeoutMs
const acquireMsMax = 20_000
const retryMs = 50
const failingMsMax = 20_000
/** The end of a commit reaches topics and group one by one: the first facts of all can be there a moment before the group's note. */
const settlingMsMax = 5_000

const fenceErrors = ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING', 'UNKNOWN_PRODUCER_ID']

export async function acquireTenure(partition: number, parts: TenureParts): Promise<Tenure> {
  const { connection, prefix } = parts
  const transactions = openTransactions({
    transactionalId: transactionalIdOf(prefix, partition),
    topics: factStreams.map((stream) => topicOf(prefix, stream)),
    connection,
    clock: parts.clock,
    timeoutMs: transactionTimeoutMs,
  })
  async function fence(): Promise<Committed> {
    await transactions.fence()
    // Only now is it settled what was committed.
    return committedOf(partition, parts)
  }
  try {
    const committed = await within(parts.clock, fence(), acquireMsMax, () => new Error('no broker lets it begin'))
    return tenureOf(partition, committed, transactions, parts)
  } catch (error) {
    void transactions.close()
    throw unavailable(error, { partition })
  }
}

/** What the group's offset says: how far the intake was taken and, in its note, the `seq` that goes with it. */
export async function committedOf(
  partition: number,
  { admins, prefix, clock, hasFacts }: Pick<TenureParts, 'admins' | 'prefix' | 'clock' | 'hasFacts'>,
): Promise<Committed> {
  const topic = topicOf(prefix, 'intake')
  const wanted = { groupId: groupOf(prefix), topics: [topic] }
  let untilMs: number | undefined
  for (;;) {
    const [found] = await again(clock, () => admins.ask((admin) => admin.fetchOffsets(wanted)))
    const row = found?.partitions.find((one) => one.partition === partition)
    if (row && row.offset !== '-1' && /^\d+$/.test(row.metadata ?? ''))
      return { intakeOffset: BigInt(row.offset), seq: BigInt(row.metadata ?? '0') }
    if (!(await hasFacts(partition))) return { intakeOffset: 0n, seq: 0n }
    untilMs ??= clock.nowMs() + settlingMsMax
    if (clock.nowMs() > untilMs)
      throw new PlatformError('LOG_GAP', {
        partition,
        problem: `there are facts, but the group ${groupOf(prefix)} no longer says how far the intake was taken`,
      })
    await sleep(clock, retryMs)
  }
}

/** Until it succeeds: groups move from broker to broker. Throws LOG_UNAVAILABLE when it fails for too long. */
async function again<Result>(clock: Clock, run: () => Promise<Result>): Promise<Result> {
  const untilMs = clock.nowMs() + failingMsMax
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (clock.nowMs() > untilMs) throw unavailable(error)
      await sleep(clock, retryMs)
    }
  }
}

function tenureOf(partition: number, begun: Committed, transactions: Transactions, parts: TenureParts): Tenure {
  const { prefix, shape, clock } = parts
  let committed = begun
  let state: 'alive' | 'committing' | 'dead' = 'alive'

  async function write(facts: readonly FactRecord[], intakeOffset: bigint): Promise<FactEnds> {
    const seq = String(facts.at(-1)?.seq ?? committed.seq)
    const intake = { groupId: groupOf(prefix), topic: topicOf(prefix, 'intake'), partition }
    const ends = await transactions.commit([...batches(facts)], { ...intake, offset: intakeOffset, metadata: seq })
    return Object.fromEntries(
      factStreams.flatMap((stream) => {
        const end = ends.get(topicOf(prefix, stream))
        return end === undefined ? [] : [[stream, end]]
      }),
    )
  }

  const partOf = (stream: FactStream) => factPart(prefix, stream, partition)

  function* batches(facts: readonly FactRecord[]): Generator<TopicRecords[]> {
    const last = String(facts.at(-1)?.seq ?? 0n)
    let batch = new Map<FactStream, TopicRecords>()
    let bytes = 0
    for (const { stream, key, value, seq } of facts) {
      if (bytes > 0 && bytes + value.byteLength > batchBytesMax) {
        yield [...batch.values()]
        batch = new Map()
        bytes = 0
      }
      const of = batch.get(stream) ?? { ...partOf(stream), records: [] }
      batch.set(stream, of)
      of.records.push({
        key,
        value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
        headers: { seq: String(seq), last },
      })
      bytes += value.byteLength
    }
    if (batch.size > 0) yield [...batch.values()]
  }

  /** A writer that met an error is not used again: the next one learns what became of it. */
  function die(error: unknown): PlatformError {
    const why = isProtocolError(error, ...fenceErrors) ? 'LOG_FENCED' : 'LOG_COMMIT_UNKNOWN'
    state = 'dead'
    void transactions.close()
    parts.onDead(tenure, why)
    return new PlatformError(why, { partition }, { cause: error })
  }

  const tenure: Tenure = {
    partition,
    get committed() {
      return committed
    },
    async commit(facts, intakeOffset) {
      if (state === 'dead') throw new PlatformError('LOG_FENCED', { partition, problem: 'the tenure has ended' })
      if (state === 'committing')
        throw new PlatformError('INTERNAL', { partition, problem: 'a commit is under way already' })
      checkCommit(partition, facts, intakeOffset, committed, shape)
      state = 'committing'
      try {
        if (intakeOffset > committed.intakeOffset && !(await parts.hasIntake(partition, intakeOffset)))
          throw new PlatformError('LOG_GAP', { partition, intakeOffset, problem: 'the intake does not reach that far' })
        const ends = await within(clock, write(facts, intakeOffset), commitMsMax, () => new Error('no end in sight'))
        committed = { intakeOffset, seq: facts.at(-1)?.seq ?? committed.seq }
        if (state === 'committing') state = 'alive' // Not when it was released meanwhile.
        return ends
      } catch (error) {
        if (isFailure(error, 'LOG_GAP')) {
          if (state === 'committing') state = 'alive'
          throw error
        }
        throw die(error)
      }
    },
    announce(streams) {
      if (state === 'alive') transactions.begin([...streams].map(partOf), groupOf(prefix))
    },
    async release() {
      if (state === 'dead') return
      state = 'dead'
      parts.onReleased(tenure)
      await transactions.close()
    },
  }
  return tenure
}
