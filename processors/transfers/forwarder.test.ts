/** Transfers reach the intake of their receivers whatever the log does, and what is told is what the log has. */
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import type { IntakeRecord, Log } from '../../platform/log/log.ts'
import type { Request } from '../../schemas/events.generated.ts'
import { tenantId } from '../testing/given.ts'
import { seededRandom, testCodec } from '../testing/world.ts'
import { forwarder } from './forwarder.ts'
import { partner, sentFact } from './testing/tree.ts'

const fact = (toTenantId: string, number: bigint) => sentFact(tenantId, toTenantId, number)

function stage(append: Log['append']) {
  const ended = new AbortController()
  const faults: unknown[] = []
  const news: { wait: () => Promise<void>; came: () => void } = (() => {
    let came = () => {}
    return { wait: () => new Promise<void>((resolve) => (came = resolve)), came: () => came() }
  })()
  const forward = forwarder({
    log: { append },
    codec: testCodec,
    clock: systemClock,
    random: seededRandom(1),
    ended: ended.signal,
    onNews: news.came,
    onFault: (error) => void faults.push(error),
  })
  return { forward, faults, ended, news: news.wait }
}

test('a transfer is appended under the receiver, with all it carries, and told by tenant', async () => {
  const records: IntakeRecord[] = []
  const { forward, news, faults } = stage(async (batch) => {
    records.push(...batch)
    return batch.map(() => ({ partition: 0, offset: 0n }))
  })
  const come = news()
  forward.send(fact(partner, 1n))
  await come
  expect(records.map(({ key }) => key)).toEqual([partner])
  const request = testCodec.decode(records[0]?.value ?? new Uint8Array()) as Request
  expect(request).toMatchObject({
    type: 'TransferArrived',
    tenantId: partner,
    fromTenantId: tenantId,
    requestId: `evt_${partner}_1`,
    number: 1n,
    directoryVersion: 4n,
    rollup: fact(partner, 1n).rollup,
  })
  expect(forward.hasNews()).toBe(true)
  expect(forward.takeNews()).toEqual([[fact(partner, 1n)]])
  expect([forward.hasNews(), forward.takeNews(), faults]).toEqual([false, [], []])
})

test('an append that fails is made again, every failure is told, and nothing is said to be there before it is', async () => {
  let tries = 0
  const written: number[] = []
  const { forward, news, faults } = stage(async (batch) => {
    tries += 1
    if (tries <= 3) throw new Error('away')
    written.push(batch.length)
    return []
  })
  const come = news()
  for (const to of [partner, 'platform']) forward.send(fact(to, 1n))
  expect(forward.hasNews()).toBe(false)
  await come
  expect([tries >= 4, faults.length, written.reduce((sum, count) => sum + count, 0)]).toEqual([true, 3, 2])
  expect(forward.takeNews().flat()).toHaveLength(2)
})

test('with the tenure it ends, also while it waits to try again', async () => {
  let tries = 0
  const { forward, ended, faults } = stage(async () => {
    tries += 1
    throw new Error('away')
  })
  forward.send(fact(partner, 1n))
  await new Promise((resolve) => setTimeout(resolve, 0))
  ended.abort()
  await new Promise((resolve) => setTimeout(resolve, 120))
  expect([tries, faults.length, forward.hasNews()]).toEqual([1, 1, false])
})
