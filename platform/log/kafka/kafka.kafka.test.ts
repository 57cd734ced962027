import { createConnection, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { FactStream } from '../../../schemas/streams.ts'
import { systemClock } from '../../clock.ts'
import { logContract } from '../contract.ts'
import { withHandOver } from '../hand-over.ts'
import { type Log, startOfFacts } from '../log.ts'
import { allFacts, contractPartitions, contractRecordBytesMax, factsOf, type LogForTest } from '../testing/log-data.ts'
import { type KafkaConnection, kafkaClient } from './client.ts'
import { kafkaLog } from './kafka.ts'
import { applyTopics, groupOf, topicPlans } from './topics.ts'

const brokers = (process.env['PF3_TEST_KAFKA_BROKERS'] ?? '').split(',')
const admin = kafkaClient({ brokers }).admin()
beforeAll(() => admin.connect())
afterAll(() => admin.disconnect())

const endTransaction = 26

/** Connections where `send` decides what becomes of each request; `write` lets it pass. */
function socketsThat(
  send: (frame: Buffer, socket: Socket, write: () => boolean) => boolean,
): NonNullable<KafkaConnection['socketFactory']> {
  return ({ host, port, onConnect }) => {
    const socket: Socket = createConnection({ host, port }, onConnect)
    const write = socket.write.bind(socket)
    socket.write = ((frame: Buffer, ...rest: []) =>
      send(frame, socket, () => write(frame, ...rest))) as typeof socket.write
    return socket
  }
}

/** Connections that break at the end of a transaction: before the broker hears of it, or before it is heard. */
function breakable() {
  let breaks: 'before' | 'after' | undefined
  const socketFactory = socketsThat((frame, socket, write) => {
    if (breaks === undefined || frame.readInt16BE(4) !== endTransaction) return write()
    if (breaks === 'before') socket.destroy()
    else {
      socket.removeAllListeners('data')
      socket.once('data', () => socket.destroy())
      write()
    }
    return true
  })
  return {
    socketFactory,
    breakAt(at: typeof breaks) {
      breaks = at
    },
  }
}

let opened = 0

async function freshTopics(): Promise<string> {
  opened += 1
  const prefix = `contract-${process.pid}-${opened}.`
  await applyTopics(
    admin,
    topicPlans({ prefix, partitionCount: contractPartitions, replicationFactor: 1 }),
    systemClock,
  )
  return prefix
}

const openOn = (prefix: string, connection: KafkaConnection = { brokers }) =>
  kafkaLog({
    connection,
    prefix,
    partitionCount: contractPartitions,
    clock: systemClock,
    recordBytesMax: contractRecordBytesMax,
    waitingRecordsMax: 100,
  })

logContract('the log on Kafka', () => forContract((log) => log))
logContract('the log on Kafka with a hand-over', () => forContract((log) => withHandOver(log, { clock: systemClock })))

async function forContract(handing: (log: Log) => Log): Promise<LogForTest> {
  const prefix = await freshTopics()
  const { socketFactory, breakAt } = breakable()
  const log = handing(await openOn(prefix, { brokers, socketFactory }))
  const logs = [log]
  return {
    log,
    offsetsHaveGaps: true,
    async another() {
      const more = handing(await openOn(prefix))
      logs.push(more)
      return more
    },
    async losingCommits(isDurable, run) {
      breakAt(isDurable ? 'after' : 'before')
      await run()
      breakAt(undefined)
    },
    close: async () => void (await Promise.all(logs.map((one) => one.close()))),
  }
}

/** What one instance believes to own, as it is told. */
async function joined(log: Log) {
  const owned = new Set<number>()
  const leave = await log.join({
    gained: (partition) => owned.add(partition),
    lost: (partition) => owned.delete(partition),
  })
  return { owned, leave }
}

test('what was given up is not written later, when others have been answered meanwhile', {
  timeout: 120_000,
}, async () => {
  let isFrozen = false
  const frozen: Socket[] = []
  // As over a network that swallows everything: nothing fails, and nothing comes.
  const socketFactory = socketsThat((_, socket, write) => {
    if (!isFrozen) return write()
    frozen.push(socket)
    return true
  })
  const prefix = await freshTopics()
  const log = await openOn(prefix, { brokers, socketFactory })
  const request = (name: string) => [{ key: 'harbor', value: Buffer.from(name) }]
  const [first] = await log.append(request('before'))
  isFrozen = true
  await expect(log.append(request('given up'))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(frozen.length).toBeGreaterThan(0)
  isFrozen = false
  await log.append(request('after'))
  await new Promise((resolve) => setTimeout(resolve, 15_000))
  const partition = first?.partition ?? -1
  const read = await log.readIntake(partition, 0n, { recordsMax: 10, waitMs: 1_000 })
  expect(read.map(({ value }) => Buffer.from(value).toString())).toEqual(['before', 'after'])
  await log.close()
})

test('a bit that turns on the way is noticed: the records are asked for again, and in the end it is told', {
  timeout: 60_000,
}, async () => {
  const written = Buffer.from('what a caller has written')
  let turns = 0
  /** Connections on which a bit of the record turns, as often as `turns` says. */
  const socketFactory: KafkaConnection['socketFactory'] = ({ host, port, onConnect }) => {
    const socket: Socket = createConnection({ host, port }, onConnect)
    socket.prependListener('data', (chunk: Buffer) => {
      const at = chunk.indexOf(written)
      if (at < 0 || turns === 0) return
      turns -= 1
      chunk.writeUInt8(chunk.readUInt8(at) ^ 1, at)
    })
    return socket
  }
  const log = await openOn(await freshTopics(), { brokers, socketFactory })
  onTestFinished(() => log.close())
  const [stored] = await log.append([{ key: 'harbor', value: written }])
  const read = () => log.readIntake(stored?.partition ?? 0, 0n, { recordsMax: 1, waitMs: 30_000 })
  turns = 2
  expect((await read()).map(({ value }) => Buffer.from(value).toString())).toEqual([written.toString()])
  expect(turns).toBe(0)
  turns = Number.POSITIVE_INFINITY
  await expect(read()).rejects.toMatchObject({
    code: 'RECORD_DAMAGED',
    message: expect.stringContaining('its checksum is not the one of its bytes'),
  })
})

test('instances share the partitions: each has one owner, none moves without need, and who leaves is followed', async () => {
  const prefix = await freshTopics()
  const logs = [await openOn(prefix), await openOn(prefix), await openOn(prefix), await openOn(prefix)]
  onTestFinished(async () => void (await Promise.all(logs.map((log) => log.close()))))
  const members: Awaited<ReturnType<typeof joined>>[] = []
  const shares = () => members.map(({ owned }) => [...owned].sort())
  const isShared = () =>
    shares().flat().sort().join() === '0,1,2' &&
    Math.max(...shares().map(({ length }) => length)) <= Math.ceil(3 / members.length)
  for (const log of logs) {
    members.push(await joined(log))
    await expect.poll(isShared, { timeout: 20_000 }).toBe(true)
  }
  const before = shares()
  const index = before.findIndex(({ length }) => length === 1)
  await members.splice(index, 1)[0]?.leave()
  await expect.poll(isShared, { timeout: 20_000 }).toBe(true)
  for (const [one, share] of before.toSpliced(index, 1).entries())
    expect(shares()[one]).toEqual(expect.arrayContaining(share))
})

test('of two who acquire a partition in one process at once, the one that asked last is left', async () => {
  const log = await openOn(await freshTopics())
  onTestFinished(() => log.close())
  for (let round = 0; round < 5; round++) {
    const [first, last] = await Promise.all([log.acquire(0), log.acquire(0)])
    const facts = factsOf(0, last.committed.seq, ['jobs'])
    await expect(first.commit(facts, 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
    await last.commit(facts, 0n)
  }
})

/** Keys of Kafka's protocol. */
const addPartitions = 24
const addOffsets = 25

test('commits that follow one another at once are no news, and a coordinator that hung up is called once', async () => {
  let opened = 0
  const coordinators = new Set<Socket>()
  const sockets = socketsThat((frame, socket, write) => {
    if (frame.readInt16BE(4) === addPartitions) coordinators.add(socket)
    return write()
  })
  const socketFactory: typeof sockets = (to) => {
    opened += 1
    return sockets(to)
  }
  const notices: unknown[] = []
  const log = await openOn(await freshTopics(), { brokers, socketFactory, onNotice: (what) => void notices.push(what) })
  onTestFinished(() => log.close())
  const tenure = await log.acquire(0)
  const commit = () => tenure.commit(factsOf(0, tenure.committed.seq, ['jobs', 'usage']), 0n)
  const pause = () => new Promise((resolve) => setTimeout(resolve, 200))
  await commit()
  notices.length = 0 // New topics have no leader for a moment.
  for (let round = 0; round < 30; round++) await commit()
  expect(notices).toEqual([])
  expect(coordinators.size).toBe(1)
  // Not at the heels of another: then the next one asks for partitions and group at once.
  await pause()
  await commit()
  await pause()
  const before = opened
  for (const socket of coordinators) socket.push(null) // As a broker does to a connection that was idle for long.
  await pause()
  await commit()
  expect(opened - before).toBe(1)
  // The group has its note a moment after the commit has been answered.
  await expect.poll(() => log.committed(0)).toMatchObject({ seq: 66n })
})

test('what was announced need not be added to the transaction any more, and what was not still is', async () => {
  const asked: number[] = []
  const socketFactory = socketsThat((frame, _, write) => {
    asked.push(frame.readInt16BE(4))
    return write()
  })
  const log = await openOn(await freshTopics(), { brokers, socketFactory })
  onTestFinished(() => log.close())
  const tenure = await log.acquire(0)
  const pause = () => new Promise((resolve) => setTimeout(resolve, 200)) // Until the markers of the last one are written.
  const added = () => asked.splice(0).filter((key) => key === addPartitions || key === addOffsets)
  const followed: FactStream[][] = [['jobs', 'usage'], ['jobs'], ['jobs', 'billing']]
  for (const streams of followed) {
    await pause()
    added()
    tenure.announce(new Set(['jobs', 'usage']))
    await pause()
    expect(added().toSorted()).toEqual([addPartitions, addOffsets])
    await tenure.commit(factsOf(0, tenure.committed.seq, streams), 0n)
    expect(added()).toEqual(streams.includes('billing') ? [addPartitions] : [])
  }
  await pause()
  added()
  await tenure.commit(factsOf(0, tenure.committed.seq, ['jobs']), 0n)
  expect(added().toSorted()).toEqual([addPartitions, addOffsets])
})

test('a commit that comes long after its announcement is refused, and the partition is given again', async () => {
  const log = await openOn(await freshTopics())
  onTestFinished(() => log.close())
  const gained: number[] = []
  const leave = await log.join({ gained: (partition) => void gained.push(partition), lost: () => undefined })
  const tenure = await log.acquire(0)
  await tenure.commit(factsOf(0, 0n, ['jobs']), 0n)
  tenure.announce(new Set(['jobs']))
  // A broker looks every 10 s for transactions that are older than the 15 s which they may take.
  await new Promise((resolve) => setTimeout(resolve, 30_000))
  gained.length = 0
  await expect(tenure.commit(factsOf(0, 1n, ['jobs']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
  await expect.poll(() => gained).toEqual([0])
  const next = await log.acquire(0)
  await next.commit(factsOf(0, 1n, ['jobs']), 0n)
  expect((await allFacts(log, 0)).length).toBe(2)
  await leave()
})

test('facts whose owners have left no note of how far they were are not taken for a beginning', async () => {
  const prefix = await freshTopics()
  const log = await openOn(prefix)
  onTestFinished(() => log.close())
  expect(await log.committed(0)).toEqual({ intakeOffset: 0n, seq: 0n })
  const tenure = await log.acquire(0)
  await tenure.commit(factsOf(0, 0n, ['jobs', 'usage']), 0n)
  expect(await log.committed(0)).toEqual({ intakeOffset: 0n, seq: 2n })
  await tenure.release()
  await admin.deleteGroups([groupOf(prefix)])
  const lost = { code: 'LOG_GAP', message: expect.stringContaining(`the group ${groupOf(prefix)} no longer says`) }
  await expect(log.committed(0)).rejects.toMatchObject(lost)
  await expect(log.acquire(0)).rejects.toMatchObject(lost)
})

test('a reader that has come further than the log goes is told that records were lost', async () => {
  const log = await openOn(await freshTopics())
  onTestFinished(() => log.close())
  const [written] = await log.append([{ key: 'tenant', value: new Uint8Array([1]) }])
  const partition = written?.partition ?? 0
  expect(await log.readIntake(partition, 1n, { recordsMax: 1, waitMs: 20 })).toEqual([])
  await expect(log.readIntake(partition, 2n, { recordsMax: 1, waitMs: 5_000 })).rejects.toMatchObject({
    code: 'LOG_GAP',
    message: expect.stringContaining('ends before'),
  })
})

test('a cursor whose offsets lag by more than a reader holds in memory still finds what comes after it', async () => {
  const log = await openOn(await freshTopics())
  onTestFinished(() => log.close())
  const tenure = await log.acquire(0)
  const before = 2_400n
  const value = new Uint8Array(contractRecordBytesMax - 1_000).fill(7)
  for (let seq = 0n; seq < before; seq += 100n) {
    const streams = Array.from({ length: 100 }, () => 'jobs' as const)
    await tenure.commit(
      factsOf(0, seq, streams).map((fact) => ({ ...fact, value })),
      0n,
    )
  }
  await tenure.commit(factsOf(0, before, ['jobs', 'usage']), 0n)
  const read = await log.readFacts(0, { ...startOfFacts, seq: before }, { recordsMax: 10, waitMs: 5_000 })
  expect(read.facts.map(({ seq }) => seq)).toEqual([before + 1n, before + 2n])
})

test('facts of several topics, of each more than a broker gives at once, are read whole and in order', async () => {
  const log = await openOn(await freshTopics())
  onTestFinished(() => log.close())
  const tenure = await log.acquire(0)
  const value = new Uint8Array(contractRecordBytesMax - 1_000).fill(7)
  const streams = Array.from({ length: 120 }, () => ['jobs', 'usage', 'billing'] as const).flat()
  for (const commit of [0n, 1n, 2n]) {
    const facts = factsOf(0, commit * BigInt(streams.length), streams)
    await tenure.commit(
      facts.map((fact) => ({ ...fact, value })),
      0n,
    )
  }
  const seqs = (await allFacts(log, 0, startOfFacts, 100)).map(({ seq }) => seq)
  expect(seqs).toEqual(Array.from({ length: 3 * streams.length }, (_, index) => BigInt(index) + 1n))
})

test('a read that may not wait comes to its end also when a fact is missing before more than a reader holds in memory', async () => {
  const prefix = await freshTopics()
  const log = await openOn(prefix)
  const producer = kafkaClient({ brokers }).producer()
  await producer.connect()
  onTestFinished(async () => {
    await producer.disconnect()
    await log.close()
  })
  const value = Buffer.alloc(contractRecordBytesMax - 1_000, 7)
  for (let from = 2; from < 2_402; from += 100) {
    const messages = Array.from({ length: 100 }, (_, index) => {
      const seq = String(from + index)
      return { partition: 0, key: 'k', value, headers: { seq, last: seq } }
    })
    await producer.send({ topic: `${prefix}jobs`, messages })
  }
  expect((await log.readFacts(0, startOfFacts, { recordsMax: 10, waitMs: 0 })).facts).toEqual([])
})

test('the end of the directory is behind its last fact, also when more stands before the end than a reader holds in memory', async () => {
  const prefix = await freshTopics()
  const log = await openOn(prefix)
  const topic = `${prefix}directory`
  const kafka = kafkaClient({ brokers })
  const producer = kafka.producer()
  const aborting = kafka.producer({ transactionalId: `${prefix}aborting`, idempotent: true, maxInFlightRequests: 1 })
  await Promise.all([producer.connect(), aborting.connect()])
  onTestFinished(async () => {
    await Promise.all([producer.disconnect(), aborting.disconnect()])
    await log.close()
  })
  const facts = (count: number, bytes: number) =>
    Array.from({ length: count }, () => ({ partition: 0, key: 'k', value: Buffer.alloc(bytes, 7) }))
  for (let written = 0; written < 300; written += 10) await producer.send({ topic, messages: facts(10, 100_000) })
  // Looking backwards finds nothing, until it looks so far back that there is too much.
  const transaction = await aborting.transaction()
  await transaction.send({ topic, messages: facts(200, 10) })
  await transaction.abort()
  expect(await log.directoryEnd()).toBe(300n)
})
