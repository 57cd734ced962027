/** What every log adapter must do; run by simulated.test.ts, embedded.test.ts, embedded.pg.test.ts and kafka/kafka.kafka.test.ts. */
import { afterEach, describe, expect, test } from 'vitest'
import { type FactStream, factStreams, platformTenantId } from '../../schemas/streams.ts'
import { type Log, type StoredFact, startOfFacts } from './log.ts'
import { partitionOf } from './partitioner.ts'
import {
  allFacts,
  allRequests,
  bytes,
  contractPartitions,
  contractRecordBytesMax,
  factsOf,
  type LogForTest,
  otherPartition,
  platformPartition,
  tenantIn,
  text,
} from './testing/log-data.ts'
import { tenureContract } from './testing/tenure-contract.ts'

/** Long enough that a wait which nobody ends fails the test by its timeout. */
const forEver = 120_000
const atOnce = { recordsMax: 1_000, waitMs: 0 }

const plain = ({ value, ...fact }: StoredFact) => ({ ...fact, value: text(value) })

export function logContract(name: string, open: () => Promise<LogForTest>): void {
  describe(name, () => {
    const opened: LogForTest[] = []
    const openLog = async (): Promise<LogForTest> => {
      const one = await open()
      opened.push(one)
      return one
    }
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close()
    })

    test('requests keep their order per key, get gapless offsets, and stand in the partition of their key', async () => {
      const { log } = await openLog()
      const keys = Array.from({ length: 9 }, (_, n) => tenantIn(n % 3, Math.floor(n / 3)))
      for (let round = 0; round < 3; round++) {
        const records = Array.from({ length: 30 }, (_, n) => ({
          key: keys[(n * 7) % 9] ?? '',
          value: bytes(`${round}-${n}`),
        }))
        const positions = await log.append(records)
        for (const [index, { partition, offset }] of positions.entries()) {
          const record = records[index]
          expect(partition).toBe(partitionOf(record?.key ?? '', contractPartitions))
          const [stored] = await log.readIntake(partition, offset, { recordsMax: 1, waitMs: 0 })
          expect(stored).toMatchObject({ key: record?.key, offset })
          expect(stored && text(stored.value)).toBe(record && text(record.value))
        }
      }
      let found = 0
      for (let partition = 0; partition < contractPartitions; partition++) {
        const requests = await allRequests(log, partition, 7)
        found += requests.length
        expect(requests.map(({ offset }) => offset)).toEqual(requests.map((_, index) => BigInt(index)))
        expect(await log.intakeEnd(partition)).toBe(BigInt(requests.length))
        for (const key of keys) {
          const order = requests.filter((request) => request.key === key).map(({ value }) => text(value))
          expect(order).toEqual([...order].sort((a, b) => rank(a) - rank(b)))
        }
      }
      expect(found).toBe(90)
    })

    test('appending nothing does nothing', async () => {
      const { log } = await openLog()
      expect(await log.append([])).toEqual([])
    })

    test('many appends at once, by two writers, are all there, once each, and after what was acknowledged before them', async () => {
      const { log, another } = await openLog()
      const second = await another()
      const key = tenantIn(1)
      const write = async (writer: Log, who: number): Promise<bigint[]> => {
        const offsets: bigint[] = []
        for (let round = 0; round < 5; round++) {
          const positions = await Promise.all(
            Array.from({ length: 8 }, (_, n) => writer.append([{ key, value: bytes(`${who}-${round}-${n}`) }])),
          )
          offsets.push(...positions.flat().map(({ offset }) => offset))
        }
        return offsets
      }
      const offsets = (await Promise.all([write(log, 0), write(second, 1)])).flat()
      expect(new Set(offsets).size).toBe(80)
      const values = (await allRequests(log, 1)).map(({ value }) => text(value))
      expect(new Set(values).size).toBe(80)
      for (const who of ['0', '1']) {
        const rounds = values.flatMap((value) => (value.startsWith(who) ? [Number(value.split('-')[1])] : []))
        expect(rounds).toEqual([...rounds].sort())
      }
    })

    test('a commit says where its facts end, which is where a reader of them stands', async () => {
      const { log } = await openLog()
      const tenure = await log.acquire(platformPartition)
      let cursor = startOfFacts
      const commits: FactStream[][] = [
        ['jobs', 'usage', 'jobs'],
        ['directory'],
        ['jobs', 'transfers', 'billing'],
        ['transfers'],
      ]
      for (const streams of commits) {
        const ends = await tenure.commit(factsOf(platformPartition, tenure.committed.seq, streams), 0n)
        cursor = (await log.readFacts(platformPartition, cursor, { recordsMax: 10, waitMs: 5_000 })).cursor
        for (const stream of streams) expect(ends[stream]).toBe(cursor.offsets[stream])
      }
    })

    test('facts of all streams are merged by seq, without a gap, and replayed from any position', async () => {
      const { log, offsetsHaveGaps = false } = await openLog()
      const tenure = await log.acquire(platformPartition)
      const sizes = [1, 5, 13, 2]
      for (const size of sizes) {
        const streams = Array.from(
          { length: size },
          (_, n) => factStreams[(n * 5 + size) % factStreams.length] ?? 'jobs',
        )
        await tenure.commit(factsOf(platformPartition, tenure.committed.seq, streams), 0n)
      }
      const all = await allFacts(log, platformPartition)
      expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 21 }, (_, n) => BigInt(n) + 1n))
      for (const fact of all) expect(text(fact.value)).toBe(`${fact.stream} ${fact.seq}`)
      for (const stream of factStreams) {
        const offsets = all.filter((fact) => fact.stream === stream).map(({ offset }) => offset)
        expect(offsets).toEqual([...offsets].sort((a, b) => (a < b ? -1 : 1)))
        expect(new Set(offsets).size).toBe(offsets.length)
        if (!offsetsHaveGaps) expect(offsets).toEqual(offsets.map((_, index) => BigInt(index)))
      }
      for (const recordsMax of [1, 2, 4, 20])
        expect(await allFacts(log, platformPartition, startOfFacts, recordsMax)).toEqual(all)
      let cursor = startOfFacts
      for (let from = 0; from <= all.length; from++) {
        expect(await allFacts(log, platformPartition, cursor, 5)).toEqual(all.slice(from))
        cursor = (await log.readFacts(platformPartition, cursor, { recordsMax: 1, waitMs: 0 })).cursor
      }
      expect(cursor.seq).toBe(21n)
    })

    test('partitions have their own sequences', async () => {
      const { log } = await openLog()
      for (const partition of [0, 1, 2]) {
        const tenure = await log.acquire(partition)
        await tenure.commit(factsOf(partition, 0n, ['jobs', 'usage']), 0n)
        expect((await allFacts(log, partition)).map(({ stream, seq, offset }) => ({ stream, seq, offset }))).toEqual([
          { stream: 'jobs', seq: 1n, offset: 0n },
          { stream: 'usage', seq: 2n, offset: 0n },
        ])
      }
    })

    tenureContract(openLog)

    test('the directory is read whole, by offset', async () => {
      const { log, another, offsetsHaveGaps = false } = await openLog()
      expect(await log.directoryEnd()).toBe(0n)
      expect(await log.readDirectory(0n, atOnce)).toEqual([])
      const tenure = await log.acquire(platformPartition)
      await tenure.commit(factsOf(platformPartition, 0n, ['directory', 'accounts', 'directory']), 0n)
      await tenure.commit(factsOf(platformPartition, 3n, ['jobs', 'directory']), 0n)
      const outside = await another()
      const records = await outside.readDirectory(0n, atOnce)
      expect(records.map(({ seq, value }) => [seq, text(value)])).toEqual([
        [1n, 'directory 1'],
        [3n, 'directory 3'],
        [5n, 'directory 5'],
      ])
      if (!offsetsHaveGaps) expect(records.map(({ offset }) => offset)).toEqual([0n, 1n, 2n])
      const end = (records.at(-1)?.offset ?? 0n) + 1n
      expect(await outside.directoryEnd()).toBe(end)
      expect(await outside.readDirectory(records[1]?.offset ?? 0n, { recordsMax: 1, waitMs: 0 })).toEqual(
        records.slice(1, 2),
      )
      expect(await outside.readDirectory(end, atOnce)).toEqual([])
    })

    test('readers that wait wake when something is written, here or elsewhere', async () => {
      const { log, another } = await openLog()
      const elsewhere = await another()
      const wait = { recordsMax: 10, waitMs: forEver }
      for (const reader of [log, elsewhere]) {
        const intake = reader.readIntake(platformPartition, await reader.intakeEnd(platformPartition), wait)
        await log.append([{ key: platformTenantId, value: bytes('asked') }])
        expect((await intake).map(({ value }) => text(value))).toEqual(['asked'])

        const tenure = await log.acquire(platformPartition)
        const { seq } = tenure.committed
        const cursor = { ...startOfFacts, seq }
        const facts = reader.readFacts(platformPartition, cursor, wait)
        const directory = reader.readDirectory(await reader.directoryEnd(), wait)
        await tenure.commit(factsOf(platformPartition, seq, ['jobs', 'directory']), 0n)
        expect((await facts).facts.map((fact) => fact.seq)).toEqual([seq + 1n, seq + 2n])
        expect((await directory).map((fact) => fact.seq)).toEqual([seq + 2n])
      }
    })

    test('readers that wait get every request once and in order, whoever appends it and however far behind they are', async () => {
      const { log, another } = await openLog()
      const writers = [log, await another()]
      const key = tenantIn(otherPartition)
      const total = 240
      const follow = async (from: number, recordsMax: number): Promise<string[]> => {
        const seen: string[] = []
        while (from + seen.length < total) {
          const wait = { recordsMax, waitMs: forEver }
          const read = await log.readIntake(otherPartition, BigInt(from + seen.length), wait)
          expect(read.length).toBeLessThanOrEqual(recordsMax)
          expect(read.map(({ offset }) => offset)).toEqual(read.map((_, at) => BigInt(from + seen.length + at)))
          seen.push(...read.map((request) => `${request.key} ${text(request.value)}`))
        }
        return seen
      }
      const following = [follow(0, 1_000), follow(0, 3)]
      for (let sent = 0, round = 0; sent < total; round++) {
        const count = Math.min(1 + ((round * 5) % 9), total - sent)
        const records = Array.from({ length: count }, (_, at) => ({ key, value: bytes(`request ${sent + at}`) }))
        // Two in a row by the reader's own process, then one by the other.
        await writers[round % 3 === 2 ? 1 : 0]?.append(records)
        sent += count
        // Not before: an offset that the log has not reached is what a log looks like that has lost its end.
        if (following.length < 3 && sent >= 100) following.push(follow(100, 50))
      }
      const all = (await allRequests(log, otherPartition)).map(({ key: of, value }) => `${of} ${text(value)}`)
      expect(all).toEqual(Array.from({ length: total }, (_, n) => `${key} request ${n}`))
      expect(await Promise.all(following)).toEqual([all, all, all.slice(100)])
    })

    test('a wait ends with nothing when its time is over, its signal comes, or the log closes', async () => {
      const { log } = await openLog()
      expect(await log.readIntake(0, 0n, { recordsMax: 1, waitMs: 20 })).toEqual([])
      expect((await log.readFacts(0, startOfFacts, { recordsMax: 1, waitMs: 20 })).facts).toEqual([])
      const controller = new AbortController()
      const wait = { recordsMax: 1, waitMs: forEver, signal: controller.signal }
      const waiting = [
        log.readIntake(0, 0n, wait),
        log.readFacts(0, startOfFacts, wait).then(({ facts }) => facts),
        log.readDirectory(0n, wait),
      ]
      controller.abort()
      expect(await Promise.all(waiting)).toEqual([[], [], []])
      expect(await log.readIntake(0, 0n, wait)).toEqual([])
      const last = log.readIntake(0, 0n, { recordsMax: 1, waitMs: forEver })
      await log.intakeEnd(0)
      await log.close()
      expect(await last).toEqual([])
      // Whoever goes on regardless must hear that nothing comes any more: a wait that ends at once would never let anything else run.
      const { signal: _, ...patient } = wait
      for (const late of [
        () => log.append([{ key: 'a', value: bytes('a') }]),
        () => log.acquire(0),
        () => log.readIntake(0, 0n, patient),
        () => log.readFacts(0, startOfFacts, patient),
        () => log.readDirectory(0n, patient),
      ])
        await expect(late()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    })

    test('consumers that read while the owner writes all see the same, and each commit whole', async () => {
      const { log, another } = await openLog()
      const readers = [log, log, await another()]
      const total = 120n
      const consume = async (reader: Log, recordsMax: number): Promise<string[]> => {
        const seen: string[] = []
        for (let cursor = startOfFacts; cursor.seq < total; ) {
          const read = await reader.readFacts(0, cursor, { recordsMax, waitMs: forEver })
          seen.push(...read.facts.map(({ value }) => text(value)))
          cursor = read.cursor
          // Commits are of three facts: a reader who is free to take everything never stands inside one.
          if (recordsMax === 1_000) expect(cursor.seq % 3n).toBe(0n)
        }
        return seen
      }
      const consuming = readers.map((reader, index) => consume(reader, [1_000, 7, 1_000][index] ?? 1))
      const tenure = await log.acquire(0)
      while (tenure.committed.seq < total)
        await tenure.commit(factsOf(0, tenure.committed.seq, ['jobs', 'usage', 'billing']), 0n)
      const seen = await Promise.all(consuming)
      const all = (await allFacts(log, 0)).map(({ value }) => text(value))
      expect(all.length).toBe(120)
      for (const one of seen) expect(one).toEqual(all)
    })

    test('readers that wait beside the owner get its facts as they stand in the log, with their offsets', async () => {
      const { log } = await openLog()
      const total = 200n
      const follow = async (recordsMax: number): Promise<StoredFact[]> => {
        const seen: StoredFact[] = []
        for (let cursor = startOfFacts; cursor.seq < total; ) {
          const read = await log.readFacts(platformPartition, cursor, { recordsMax, waitMs: forEver })
          seen.push(...read.facts)
          cursor = read.cursor
          expect(cursor.seq).toBe(seen.at(-1)?.seq)
        }
        return seen
      }
      const following = [follow(1_000), follow(3)]
      const streams: FactStream[] = ['jobs', 'usage', 'directory', 'jobs']
      for (let seq = 0n; seq < total; ) {
        const tenure = await log.acquire(platformPartition)
        for (let commit = 0; commit < 5; commit++, seq = tenure.committed.seq)
          await tenure.commit(factsOf(platformPartition, seq, streams), 0n)
      }
      const all = (await allFacts(log, platformPartition)).map(plain)
      for (const seen of await Promise.all(following)) expect(seen.map(plain)).toEqual(all)
    })

    test('who waits beside an owner that was replaced elsewhere still hears what is written', async () => {
      const { log, another } = await openLog()
      const elsewhere = await another()
      const before = await log.acquire(0)
      await before.commit(factsOf(0, 0n, ['jobs']), 0n)
      const cursor = { ...startOfFacts, seq: 1n }
      const waiting = log.readFacts(0, cursor, { recordsMax: 10, waitMs: forEver })
      const tenure = await elsewhere.acquire(0)
      await tenure.commit(factsOf(0, 1n, ['jobs', 'usage']), 0n)
      expect((await waiting).facts.map(({ seq }) => seq)).toEqual([2n, 3n])
    })

    test('an over-large request is refused clearly, and nothing of its call is written', async () => {
      const { log } = await openLog()
      const key = tenantIn(0)
      const large = { key, value: new Uint8Array(contractRecordBytesMax + 1) }
      await expect(log.append([{ key, value: bytes('a') }, large])).rejects.toMatchObject({
        code: 'LOG_RECORD_TOO_LARGE',
        facts: { bytes: contractRecordBytesMax + 1, bytesMax: contractRecordBytesMax },
      })
      await expect(log.append([{ key: 'k'.repeat(2_000), value: bytes('a') }])).rejects.toMatchObject({
        code: 'LOG_RECORD_TOO_LARGE',
      })
      expect(await log.intakeEnd(0)).toBe(0n)
      await log.append([{ key, value: new Uint8Array(contractRecordBytesMax) }])
      expect(await log.intakeEnd(0)).toBe(1n)
    })

    test('when too much waits to be written the log is busy, and what it refused is not in it', async () => {
      const { log } = await openLog()
      const key = tenantIn(0)
      const answers = await Promise.all(
        Array.from({ length: 150 }, (_, n) =>
          log.append([{ key, value: bytes(`${n}`) }]).then(
            () => n,
            (error: { code: string }) => error.code,
          ),
        ),
      )
      expect(answers.filter((answer) => answer === 'LOG_BUSY').length).toBe(50)
      const written = (await allRequests(log, 0)).map(({ value }) => Number(text(value)))
      expect(written.sort((a, b) => a - b)).toEqual(answers.filter((answer) => typeof answer === 'number'))
      await log.append([{ key, value: bytes('again') }])
      expect(
        await log.append(Array.from({ length: 250 }, () => ({ key, value: bytes('one large call') }))),
      ).toHaveLength(250)
      expect(await log.intakeEnd(0)).toBe(351n)
    })

    test('who joins may own every partition', async () => {
      const { log } = await openLog()
      const events: string[] = []
      const leave = await log.join({
        gained: (partition) => events.push(`+${partition}`),
        lost: (partition) => events.push(`-${partition}`),
      })
      await expect.poll(() => events, { timeout: 20_000 }).toEqual(['+0', '+1', '+2'])
      await leave()
      await (await log.acquire(0)).release()
      expect(events.length).toBe(3)
    })

    test('a partition that does not exist, or a senseless read, is a fault of the caller', async () => {
      const { log } = await openLog()
      for (const partition of [-1, 3, 0.5]) {
        await expect(log.readIntake(partition, 0n, atOnce)).rejects.toMatchObject({ code: 'INTERNAL' })
        await expect(log.acquire(partition)).rejects.toMatchObject({ code: 'INTERNAL' })
      }
      await expect(log.readIntake(0, 0n, { recordsMax: 0, waitMs: 0 })).rejects.toMatchObject({ code: 'INTERNAL' })
    })
  })
}

/** Where the n-th value of a round stands: values are `<round>-<n>`. */
function rank(value: string): number {
  const [round, n] = value.split('-').map(Number)
  return (round ?? 0) * 1_000 + (n ?? 0)
}
