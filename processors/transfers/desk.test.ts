/** What the desk has to say when the commit is full already. */
import { expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { emptyDirectory } from '../directory/state.ts'
import { noon } from '../testing/given.ts'
import { seededRandom, testCodec } from '../testing/world.ts'
import { transferDesk } from './desk.ts'
import { emptyTransfers } from './state.ts'
import { partner, sentFact } from './testing/tree.ts'

test('what was forwarded is told of every tenant, also when the commit is full; ancestors are told with the next', async () => {
  const senders = ['harbor', 'meadow', 'quarry']
  const transfers = emptyTransfers()
  for (const tenantId of senders)
    transfers.senders.set(tenantId, {
      lines: [],
      numbers: new Map([[partner, 1n]]),
      onTheirWay: [sentFact(tenantId, partner, 1n)],
    })
  transfers.waiting.set('brook', 0n)
  let brought = 0
  const ended = new AbortController()
  const log = {
    append: async (records: readonly unknown[]) => {
      brought += records.length
      return records.map(() => ({ partition: 0, offset: 0n }))
    },
  }
  const desk = transferDesk(
    transfers,
    {
      log,
      codec: testCodec,
      clock: systemClock,
      random: seededRandom(1),
      directory: { directory: emptyDirectory, version: () => 0n },
      options: { rollupWaitMs: 30 },
      onFault: () => {},
    },
    0,
    ended.signal,
    () => {},
  )
  await expect.poll(() => brought === senders.length && desk.hasNews()).toBe(true)
  const moves = [
    ...desk.moves(
      () => noon,
      () => true,
    ),
  ]
  expect(moves.flatMap(({ facts }) => facts)).toMatchObject(
    senders.map((tenantId) => ({ type: 'TransferForwarded', tenantId })),
  )
  expect(desk.hasNews()).toBe(false)
  ended.abort()
})
