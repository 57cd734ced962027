/** How a lane reads on, and when it gives up, over brokers that do not always say what they have, or anything at all. */
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { type Lane, openLane } from './lane.ts'
import { hurriedClock, type StandIn, standIn } from './testing/stand-in.ts'

const never = () => new Promise<void>(() => undefined)
const nothing = () => false

const factsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => {
    const seq = String(first + index)
    return { key: 'harbor', value: Buffer.from(`fact ${seq}`), headers: { seq, last: seq } }
  })

async function laneOver(topics: readonly string[], clock = hurriedClock()): Promise<{ brokers: StandIn; lane: Lane }> {
  const brokers = await standIn(topics)
  const parts = topics.map((topic) => ({ topic, partition: 0 }))
  const lane = openLane(parts, brokers.connection, clock)
  onTestFinished(async () => {
    await lane.close()
    await brokers.close()
  })
  return { brokers, lane }
}

/** Reads for a second again and again, as who follows the log does. */
async function follow(lane: Lane, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) await lane.fill(nothing, 1_000)
}

test.each([
  ['who may not wait', (lane: Lane) => lane.fill(nothing, 0)],
  ['who waits for a second again and again', (lane: Lane) => follow(lane, 1_000)],
])(
  '%s is told when a leader says where the log ends, and never what is in it',
  { timeout: 10_000 },
  async (_, read) => {
    const { brokers, lane } = await laneOver(['jobs'])
    brokers.write('jobs', factsFrom(1, 5))
    brokers.beforeAnswer = (request) => (request === 'Fetch' ? never() : undefined)
    await expect(read(lane)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  },
)

test('a leader that never answers is told also while another one does', { timeout: 10_000 }, async () => {
  const { brokers, lane } = await laneOver(['jobs', 'usage'])
  brokers.topic('usage').leader = 2
  brokers.beforeAnswer = (request, topics) => (request === 'Fetch' && topics.includes('usage') ? never() : undefined)
  await expect(follow(lane, 1_000)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
})

test('a leader that answers every other time is outlasted', { timeout: 10_000 }, async () => {
  const { brokers, lane } = await laneOver(['jobs'])
  brokers.write('jobs', factsFrom(1, 5))
  let asked = 0
  brokers.beforeAnswer = (request) => (request === 'Fetch' && asked++ % 2 === 0 ? never() : undefined)
  await follow(lane, 40)
  expect(asked).toBeGreaterThan(6) // Each of which is given up after 11 s.
  expect(lane.buffered('jobs').length).toBe(5)
})

test('what was undecided for a moment is read to its end, however slowly it comes', async () => {
  let nowMs = 0
  const { brokers, lane } = await laneOver(['directory'], { ...systemClock, nowMs: () => nowMs })
  const count = 40
  for (let seq = 1; seq <= count; seq++) brokers.write('directory', factsFrom(seq, 1))
  const directory = brokers.topic('directory')
  directory.stable = 0
  let asked = 0
  brokers.beforeAnswer = (request) => {
    if (request !== 'Fetch') return
    directory.stable = Math.min(asked++, count)
    nowMs += 250
  }
  expect(await lane.fill(nothing, 0)).toBe(true)
  expect(lane.buffered('directory').length).toBe(count)
})
