import { expect, test } from 'vitest'
import { systemClock as clock } from '../platform/clock.ts'
import { directoryReader } from './directory/reader.ts'
import { restore } from './restore.ts'
import { testCodec, world } from './testing/world.ts'

test('an owner that was replaced while it restored is told so, and does not call the log damaged', async () => {
  const w = world()
  const first = w.start()
  await w.begin()
  await first.end()
  const late = await w.log.acquire(0)
  const second = w.start()
  await w.ask(w.submit('job-1'))
  await w.until((facts) => facts.some(({ type }) => type === 'JobRated'))
  await second.end()

  const directory = directoryReader({ log: w.log, codec: testCodec, clock, onFault: () => {} })
  const parts = { log: w.log, codec: testCodec, directory, snapshots: { save: async () => {}, load: async () => [] } }
  await expect(restore(late, parts)).rejects.toMatchObject({ code: 'LOG_FENCED' })
  await directory.stop()
})

test('a restore tells how many facts are left to read, to the end', async () => {
  const w = world()
  const owner = w.start()
  await w.begin()
  await w.ask(w.submit('job-1'))
  await w.until((facts) => facts.some(({ type }) => type === 'JobRated'))
  await owner.end()
  const tenure = await w.log.acquire(0)
  const directory = directoryReader({ log: w.log, codec: testCodec, clock, onFault: () => {} })
  const slow = {
    ...w.log,
    readFacts: (...[partition, cursor, options]: Parameters<typeof w.log.readFacts>) =>
      w.log.readFacts(partition, cursor, { ...options, recordsMax: 2 }),
  }
  const left: number[] = []
  const parts = { log: slow, codec: testCodec, directory, snapshots: { save: async () => {}, load: async () => [] } }
  const { facts } = await restore(tenure, parts, (one) => left.push(one))
  await directory.stop()
  expect(left[0]).toBe(facts)
  expect(left).toEqual(Array.from({ length: Math.ceil(facts / 2) }, (_, index) => facts - 2 * index))
})

test('facts that are committed and cannot be read yet are waited for', async () => {
  const w = world()
  const owner = w.start()
  await w.begin()
  await w.ask(w.submit('job-1'))
  await w.until((facts) => facts.some(({ type }) => type === 'JobRated'))
  await owner.end()
  const tenure = await w.log.acquire(0)
  const directory = directoryReader({ log: w.log, codec: testCodec, clock, onFault: () => {} })
  const behind: typeof w.log = {
    ...w.log,
    readFacts: async (partition, cursor, options) =>
      options.waitMs === 0 ? { facts: [], cursor } : w.log.readFacts(partition, cursor, options),
  }
  const parts = { log: behind, codec: testCodec, directory, snapshots: { save: async () => {}, load: async () => [] } }
  expect((await restore(tenure, parts)).state.seq).toBe(tenure.committed.seq)
  await directory.stop()
})
