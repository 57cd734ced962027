import { expect, test } from 'vitest'
import { type FactCursor, type FactsLog, type StoredFact, startOfFacts } from './log.ts'
import { readAhead } from './read-ahead.ts'

const factAt = (seq: bigint): StoredFact => ({ stream: 'jobs', key: 'k', value: new Uint8Array(), seq, offset: seq })
const cursorAt = (seq: bigint): FactCursor => ({ ...startOfFacts, seq })

/** A partition of `count` facts that answers when it is told to, and what it was asked. */
function partitionOf(count: bigint) {
  const asked: bigint[] = []
  const log: Pick<FactsLog, 'readFacts'> = {
    async readFacts(_, { seq }, { recordsMax, waitMs }) {
      expect(waitMs).toBe(0)
      asked.push(seq)
      const left = Math.min(recordsMax, Number(count - seq))
      const facts = Array.from({ length: left }, (_, index) => factAt(seq + 1n + BigInt(index)))
      return { facts, cursor: cursorAt(seq + BigInt(left)) }
    },
  }
  return { asked, log }
}

test('given facts up to an end, every one comes once and in order, and nothing is asked beyond the batch that has it', async () => {
  for (const [from, to, recordsMax] of [
    [0n, 10n, 4],
    [0n, 10n, 5],
    [3n, 9n, 1],
    [0n, 10n, 100],
    [4n, 4n, 3],
    [7n, 4n, 3],
  ] as const) {
    const { log, asked } = partitionOf(12n)
    const seqs: bigint[] = []
    for await (const { facts, cursor } of readAhead(log, 0, { from: cursorAt(from), to, recordsMax })) {
      seqs.push(...facts.map(({ seq }) => seq))
      expect(cursor.seq).toBe(seqs.at(-1))
    }
    expect(seqs).toEqual(seqs.map((_, index) => from + 1n + BigInt(index)))
    const last = seqs.at(-1) ?? from
    expect(last >= to && last < (to > from ? to : from) + BigInt(recordsMax)).toBe(true)
    expect(asked.length).toBe(Math.ceil(seqs.length / recordsMax))
  }
})

test('while a batch is taken in, the next one is on its way, and only that', async () => {
  const { log, asked } = partitionOf(9n)
  const batches = readAhead(log, 0, { from: startOfFacts, to: 9n, recordsMax: 3 })
  expect(asked).toEqual([])
  await batches.next()
  expect(asked).toEqual([0n, 3n])
  await batches.next()
  expect(asked).toEqual([0n, 3n, 6n])
  await batches.next()
  expect(asked).toEqual([0n, 3n, 6n])
  expect((await batches.next()).done).toBe(true)
})

test('a log that has less than was committed is not taken for the whole', async () => {
  const { log } = partitionOf(5n)
  const batches = readAhead(log, 2, { from: startOfFacts, to: 6n, recordsMax: 5 })
  await batches.next()
  await expect(batches.next()).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    message: expect.stringContaining('undecided'),
  })
})

test('a read that fails is told to who waits for it, and troubles nobody who has stopped', async () => {
  const { log } = partitionOf(9n)
  const failing: typeof log = {
    readFacts: (partition, cursor, options) =>
      cursor.seq === 0n ? log.readFacts(partition, cursor, options) : Promise.reject(new Error('gone')),
  }
  const told = readAhead(failing, 0, { from: startOfFacts, to: 9n, recordsMax: 3 })
  await told.next()
  await expect(told.next()).rejects.toThrow('gone')
  // An unhandled rejection would fail this file.
  for await (const _ of readAhead(failing, 0, { from: startOfFacts, to: 9n, recordsMax: 3 })) break
})
