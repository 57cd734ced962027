import { expect, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import type { AssignmentListener } from '../platform/log/log.ts'
import { startOwner } from './start-owner.ts'
import { memorySnapshots, plainVault, seededRandom, testCodec, world } from './testing/world.ts'

async function ownerRole() {
  const w = world()
  const given: { listener?: AssignmentListener } = {}
  const seen = { acquired: 0 }
  const role = await startOwner({
    log: {
      ...w.log,
      async join(listener) {
        given.listener = listener
        return async () => undefined
      },
      async acquire(partition) {
        seen.acquired += 1
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
  return { w, role, seen, gain: () => given.listener?.gained(0) }
}

test('a process that gets a partition again, having slept through losing it, begins it anew', async () => {
  const { w, role, seen, gain } = await ownerRole()
  gain()
  await expect.poll(() => role.health()[0]?.phase).toBe('serving')
  // While it slept another owned the partition, and left it.
  await (await w.log.acquire(0)).release()

  gain()

  await expect.poll(() => seen.acquired).toBe(2)
  await expect.poll(() => role.health()[0]?.phase).toBe('serving')
  await role.stop()
})

test('a process that stops begins no partition that falls to it meanwhile', async () => {
  const { role, seen, gain } = await ownerRole()
  const stopped = role.stop()
  gain()
  await stopped
  expect(seen.acquired).toBe(0)
  expect(role.health()).toEqual([])
})
