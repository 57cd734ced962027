import { expect, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import type { AssignmentListener } from '../platform/log/log.ts'
import { startOwner } from './start-owner.ts'
import { memorySnapshots, plainVault, seededRandom, testCodec, world } from './testing/world.ts'

test('a process that gets a partition again, having slept through losing it, begins it anew', async () => {
  const w = world()
  let listener: AssignmentListener | undefined
  let acquired = 0
  const role = await startOwner({
    log: {
      ...w.log,
      async join(given) {
        listener = given
        return async () => undefined
      },
      async acquire(partition) {
        acquired += 1
        return w.log.acquire(partition)
      },
    },
    codec: testCodec,
    clock: systemClock,
    random: seededRandom(2),
    vault: plainVault(),
    snapshots: memorySnapshots(),
    providers: [],
    capabilityNamed: () => undefined,
    options: w.ownerOptions,
    onFault: () => {},
  })
  listener?.gained(0)
  await expect.poll(() => role.isReady()).toBe(true)
  // While it slept another owned the partition, and left it.
  await (await w.log.acquire(0)).release()

  listener?.gained(0)

  await expect.poll(() => acquired).toBe(2)
  await expect.poll(() => role.isReady()).toBe(true)
  await role.stop()
})
