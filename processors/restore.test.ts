import { expect, onTestFinished, test } from 'vitest'
import { systemClock as clock, systemRandom as random } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import { directoryReader } from './directory/reader.ts'
import { restore } from './restore.ts'
import { testCodec, world } from './testing/world.ts'

/** What a restore of a partition needs, with what `log` has to say of it. */
function partsOn(log: ReturnType<typeof world>['log']) {
  const directory = directoryReader({ log, codec: testCodec, clock, onFault: () => {} })
  onTestFinished(() => directory.stop())
  return { log, codec: testCodec, directory, random, snapshots: { save: async () => {}, load: async () => [] } }
}

/** Until one job is rated by an owner that then ends. */
async function oneJob(
  w: ReturnType<typeof world>,
  owner: ReturnType<ReturnType<typeof world>['start']>,
): Promise<void> {
  await w.ask(w.submit('job-1'))
  await w.until((facts) => facts.some(({ type }) => type === 'JobRated'))
  await owner.end()
}

/** A partition with one rated job, acquired anew. */
async function afterOneJob() {
  const w = world()
  const owner = w.start()
  await w.begin()
  await oneJob(w, owner)
  return { log: w.log, tenure: await w.log.acquire(0) }
}

test('an owner that was replaced while it restored is told so, and does not call the log damaged', async () => {
  const w = world()
  const first = w.start()
  await w.begin()
  await first.end()
  const late = await w.log.acquire(0)
  const second = w.start()
  await oneJob(w, second)
  await expect(restore(late, partsOn(w.log))).rejects.toMatchObject({ code: 'LOG_FENCED' })
})

test('a restore tells how many facts are left to read, to the end', async () => {
  const { log, tenure } = await afterOneJob()
  const slow = {
    ...log,
    readFacts: (...[partition, cursor, options]: Parameters<typeof log.readFacts>) =>
      log.readFacts(partition, cursor, { ...options, recordsMax: 2 }),
  }
  const left: number[] = []
  const restored = await restore(tenure, partsOn(slow), (one) => left.push(one))
  const facts = restored?.facts ?? 0
  expect(left[0]).toBe(facts)
  expect(left).toEqual(Array.from({ length: Math.ceil(facts / 2) }, (_, index) => facts - 2 * index))
})

test('facts that are committed and cannot be read yet are waited for', async () => {
  const { log, tenure } = await afterOneJob()
  const behind: typeof log = {
    ...log,
    readFacts: async (partition, cursor, options) =>
      options.waitMs === 0 ? { facts: [], cursor } : log.readFacts(partition, cursor, options),
  }
  expect((await restore(tenure, partsOn(behind)))?.state.seq).toBe(tenure.committed.seq)
})

test('a log that says nothing for the time of a read is unavailable, and not damaged', async () => {
  const { log, tenure } = await afterOneJob()
  const silent: typeof log = {
    ...log,
    readFacts: async (_, cursor, { waitMs }) => {
      if (waitMs === 0) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'nobody answers' })
      return { facts: [], cursor }
    },
  }
  await expect(restore(tenure, partsOn(silent))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
})
