/** The log over brokers that behave as real ones do once in a while; what it promises otherwise is tested on real ones. */
import { expect, onTestFinished, test } from 'vitest'
import { factStreams } from '../../../schemas/streams.ts'
import { kafkaLog } from './kafka.ts'
import { hurriedClock, standIn } from './testing/stand-in.ts'

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
