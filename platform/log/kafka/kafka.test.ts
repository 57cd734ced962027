/** The log over brokers that behave as real ones do once in a while; what it promises otherwise is tested on real ones. */
import { expect, onTestFinished, test } from 'vitest'
import { type FactStream, factStreams } from '../../../schemas/streams.ts'
import { type StoredFact, startOfFacts } from '../log.ts'
import { kafkaLog } from './kafka.ts'
import { hurriedClock, type StandIn, standIn } from './testing/stand-in.ts'

const topics = ['intake', ...factStreams]
const never = () => new Promise<void>(() => undefined)

/** A log of one partition, and the brokers under it. */
async function logOnStandIn() {
  const brokers = await standIn(topics)
  onTestFinished(() => brokers.close())
  const { connection } = brokers
  const log = await kafkaLog({ connection, prefix: '', partitionCount: 1, clock: hurriedClock() })
  onTestFinished(() => log.close())
  return { brokers, log }
}

test('a log is closed in time also while what appends connects to brokers that do not answer', {
  timeout: 10_000,
}, async () => {
  const { brokers, log } = await logOnStandIn()
  brokers.beforeAnswer = never
  const before = brokers.dialled
  const appended = log.append([{ key: 'harbor', value: Buffer.from('a request') }])
  appended.catch(() => undefined)
  await expect.poll(() => brokers.dialled).toBeGreaterThan(before)
  await log.close()
  await expect.poll(() => brokers.open()).toBe(0)
  await expect(appended).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
})

test('who goes on to read a log that was closed hears so, and others go on', { timeout: 10_000 }, async () => {
  const { log } = await logOnStandIn()
  const wait = { recordsMax: 1, waitMs: 600_000 }
  const reading = [log.readDirectory(0n, wait), log.readIntake(0, 0n, wait)]
  await log.intakeEnd(0)
  await log.close()
  expect(await Promise.all(reading)).toEqual([[], []])
  for (const late of [
    () => log.readDirectory(0n, wait),
    () => log.readIntake(0, 0n, wait),
    () => log.readFacts(0, startOfFacts, wait),
    () => log.directoryEnd(),
    () => log.intakeEnd(0),
  ])
    await expect(late()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', facts: { problem: 'the log is closed' } })
})

test('a tenure that is being acquired when the log closes is given up with it', async () => {
  const { brokers, log } = await logOnStandIn()
  const fence = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  brokers.beforeAnswer = (request) => {
    if (request !== 'InitProducerId') return
    asked.resolve()
    return fence.promise
  }
  const acquired = log.acquire(0)
  acquired.catch(() => undefined)
  await asked.promise
  const closed = log.close()
  fence.resolve()
  await closed
  await expect.poll(() => brokers.open()).toBe(0)
  await expect(acquired.then((tenure) => tenure.commit([], 0n))).rejects.toThrow()
})

test('brokers of a Kafka before 4.0 are refused by name', async () => {
  const brokers = await standIn(topics, 0)
  onTestFinished(() => brokers.close())
  const { connection } = brokers
  const opening = kafkaLog({ connection, prefix: '', partitionCount: 1, clock: hurriedClock() })
  await expect(opening).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    facts: { problem: 'brokers of Kafka 4.0 or later are needed' },
  })
  await expect.poll(() => brokers.open()).toBe(0)
})

/** One commit of facts in one stream, written as an owner writes it: in batches of at most 1 MB. */
function writeCommit(
  brokers: StandIn,
  stream: FactStream,
  facts: { first: number; count: number; bytes: number },
): void {
  const last = String(facts.first + facts.count - 1)
  const value = Buffer.alloc(facts.bytes, 7)
  const records = Array.from({ length: facts.count }, (_, index) => ({
    key: 'harbor',
    value,
    headers: { seq: String(facts.first + index), last },
  }))
  const perBatch = Math.floor(1_000_000 / facts.bytes)
  for (let at = 0; at < records.length; at += perBatch) brokers.write(stream, records.slice(at, at + perBatch))
}

const seqsOf = ({ facts }: { facts: readonly StoredFact[] }) => facts.map(({ seq }) => Number(seq))
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

test.each([0, 600_000])(
  'a commit of more than a reader holds of a topic that it reads ahead is read whole, waiting for %i ms',
  async (waitMs) => {
    const { brokers, log } = await logOnStandIn()
    const count = 180
    writeCommit(brokers, 'jobs', { first: 1, count, bytes: 75_000 })
    writeCommit(brokers, 'jobs', { first: count + 1, count: 1, bytes: 75_000 })
    const read = await log.readFacts(0, startOfFacts, { recordsMax: 2_000, waitMs })
    expect(seqsOf(read)).toEqual(upTo(read.facts.length))
    expect(read.facts.length).toBeGreaterThanOrEqual(count)
  },
)

test('what is read ahead of a fact that is missing is bounded', async () => {
  const { brokers, log } = await logOnStandIn()
  writeCommit(brokers, 'jobs', { first: 2, count: 300, bytes: 75_000 })
  let asked = 0
  brokers.beforeAnswer = (request, topics) => {
    if (request === 'Fetch' && topics.includes('jobs')) asked += 1
  }
  expect(await log.readFacts(0, startOfFacts, { recordsMax: 2_000, waitMs: 0 })).toMatchObject({ facts: [] })
  expect(asked).toBeLessThanOrEqual(11) // Of a megabyte each, with 8 MiB as the bound.
  writeCommit(brokers, 'usage', { first: 1, count: 1, bytes: 10 })
  const read = await log.readFacts(0, startOfFacts, { recordsMax: 2_000, waitMs: 600_000 })
  expect(seqsOf(read)).toEqual([1])
  const rest = await log.readFacts(0, read.cursor, { recordsMax: 2_000, waitMs: 600_000 })
  expect(rest.facts.length).toBe(300)
})
