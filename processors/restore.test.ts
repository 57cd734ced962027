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
