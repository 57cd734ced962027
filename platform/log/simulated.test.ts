import { expect, test, vi } from 'vitest'
import { type Clock, type Random, systemClock } from '../clock.ts'
import { jumpingClock } from '../testing/jumping-clock.ts'
import { logContract } from './contract.ts'
import { withHandOver } from './hand-over.ts'
import { startOfFacts } from './log.ts'
import { noFaults, type SimulatedFaults, simulatedLog } from './simulated.ts'
import {
  allFacts,
  allRequests,
  bytes,
  contractPartitions,
  contractRecordBytesMax,
  factsOf,
  tenantIn,
  text,
} from './testing/log-data.ts'

/** Mulberry32: small, seeded, good enough to choose faults. */
function seeded(seed: number): Random {
  let state = seed
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { fraction, bytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(fraction() * 256)) }
}

const open = async (clock: Clock, faults: Partial<SimulatedFaults> = {}) => {
  const log = simulatedLog({
    partitionCount: contractPartitions,
    clock,
    random: seeded(7),
    recordBytesMax: contractRecordBytesMax,
    waitingRecordsMax: 100,
    faults,
  })
  return {
    log,
    another: async () => log,
    async losingCommits(isDurable: boolean, run: () => Promise<void>) {
      log.setFaults({ [isDurable ? 'commitUnknownDurable' : 'commitUnknownLost']: 1 })
      await run()
      log.setFaults({ commitUnknownDurable: 0, commitUnknownLost: 0 })
    },
    close: () => log.close(),
  }
}

logContract('the simulated log', () => open(systemClock))
logContract('the simulated log, when every call takes its time', () => open(systemClock, { delayMsMax: 2 }))

logContract('the simulated log with a hand-over', async () => {
  const opened = await open(systemClock, { delayMsMax: 2 })
  const handing = () => withHandOver(opened.log, { clock: systemClock })
  return { ...opened, log: handing(), another: async () => handing() }
})

logContract('the simulated log with a hand-over that keeps next to nothing', async () => {
  const opened = await open(systemClock)
  const handing = () => withHandOver(opened.log, { clock: systemClock, bytesMax: 60 })
  return { ...opened, log: handing(), another: async () => handing() }
})

/** A bit of everything under faults; what happened, in order. */
async function history(seed: number): Promise<string[]> {
  const clock = jumpingClock()
  const faults: SimulatedFaults = {
    duplicateAppend: 0.2,
    appendUnacknowledged: 0.1,
    appendLost: 0.1,
    commitUnknownDurable: 0.1,
    commitUnknownLost: 0.1,
    commitLate: 0.1,
    fenced: 0.1,
    shortRead: 0.3,
    readFailed: 0.1,
    delayMsMax: 50,
  }
  const log = simulatedLog({ partitionCount: contractPartitions, clock, random: seeded(seed), faults })
  const events: string[] = []
  const note = (what: string) => (error: { code: string }) =>
    void events.push(`${what} ${error.code} at ${clock.nowMs()}`)
  const write = async (who: number) => {
    for (let n = 0; n < 10; n++) {
      await log
        .append([{ key: tenantIn(0, who), value: bytes(`${who}-${n}`) }])
        .then(([at]) => events.push(`append ${who}-${n} ${at?.offset}`), note('append'))
    }
  }
  const own = async () => {
    for (let tries = 0; tries < 20; tries++) {
      const tenure = await log.acquire(0)
      for (let n = 0; n < 3; n++) {
        const done = await tenure
          .commit(factsOf(0, tenure.committed.seq, ['jobs', 'usage']), 0n)
          .then(() => true, note('commit'))
        if (done !== true) break
        events.push(`commit ${tenure.committed.seq}`)
      }
    }
  }
  const follow = async () => {
    for (let cursor = startOfFacts, tries = 0; tries < 60; tries++) {
      cursor = await log.readFacts(0, cursor, { recordsMax: 5, waitMs: 100 }).then(
        (read) => read.cursor,
        () => cursor,
      )
      events.push(`read to ${cursor.seq}`)
    }
  }
  await clock.run(Promise.all([write(0), write(1), own(), follow()]))
  log.setFaults(noFaults)
  const facts = await allFacts(log, 0)
  expect(facts.map(({ seq }) => seq)).toEqual(facts.map((_, index) => BigInt(index) + 1n))
  const acknowledged = events.flatMap((event) => /^append (\S+) \d+$/.exec(event)?.[1] ?? [])
  expect((await allRequests(log, 0)).map(({ value }) => text(value))).toEqual(expect.arrayContaining(acknowledged))
  return events
}

test('the same seed gives the same history, to the event; another seed another one', async () => {
  const [first, again, other] = [await history(11), await history(11), await history(12)]
  expect(again).toEqual(first)
  expect(other).not.toEqual(first)
  for (const code of ['LOG_COMMIT_UNKNOWN', 'LOG_FENCED', 'LOG_UNAVAILABLE']) expect(first.join()).toContain(code)
})

test('each fault does what it says and nothing else', async () => {
  const { log } = await open(systemClock)
  const key = tenantIn(0)
  const stored = async () => (await allRequests(log, 0)).map(({ value }) => text(value))

  log.setFaults({ duplicateAppend: 1 })
  expect(await log.append([{ key, value: bytes('a') }])).toEqual([{ partition: 0, offset: 0n }])
  log.setFaults({ duplicateAppend: 0, appendLost: 1 })
  await expect(log.append([{ key, value: bytes('b') }])).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  log.setFaults({ appendLost: 0, appendUnacknowledged: 1 })
  await expect(log.append([{ key, value: bytes('c') }])).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  log.setFaults(noFaults)
  expect(await stored()).toEqual(['a', 'a', 'c'])

  log.setFaults({ shortRead: 1 })
  expect((await log.readIntake(0, 0n, { recordsMax: 3, waitMs: 0 })).length).toBeLessThan(3)
  log.setFaults({ shortRead: 0, readFailed: 1 })
  await expect(log.readIntake(0, 0n, { recordsMax: 3, waitMs: 0 })).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  log.setFaults(noFaults)

  const tenure = await log.acquire(0)
  log.setFaults({ fenced: 1 })
  await expect(tenure.commit(factsOf(0, 0n, ['jobs']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
  log.setFaults(noFaults)
  expect(await log.committed(0)).toEqual({ intakeOffset: 0n, seq: 0n })
})

test('an owner that hears of its commit only after the next one has written is fenced, not told of a gap', async () => {
  let share = 0
  const random: Random = { fraction: () => share, bytes: (size) => new Uint8Array(size) }
  const log = simulatedLog({
    partitionCount: contractPartitions,
    clock: systemClock,
    random,
    faults: { delayMsMax: 300 },
  })
  const first = await log.acquire(1)
  const late = first.commit(factsOf(1, 0n, ['jobs']), 0n)
  share = 1 // On its way it took no time; the answer takes all there is.
  await vi.waitUntil(() => log.committedFacts(1).length === 1)
  share = 0
  const next = await log.acquire(1)
  await next.commit(factsOf(1, 1n, ['jobs', 'usage']), 0n)
  await late
  expect(first.committed.seq).toBe(1n)
  await expect(first.commit(factsOf(1, 1n, ['jobs']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
  await log.close()
})
