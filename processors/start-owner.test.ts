import { expect, test } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { PlatformError } from '../platform/errors.ts'
import type { AssignmentListener, Log } from '../platform/log/log.ts'
import { startOwner } from './start-owner.ts'
import { memorySnapshots, plainVault, seededRandom, testCodec, type World, world } from './testing/world.ts'

async function ownerRole() {
  const w = world()
  const given: { listener?: AssignmentListener } = {}
  const seen = { acquired: 0 }
  const role = await startOn(w, {
    async join(listener) {
      given.listener = listener
      return async () => undefined
    },
    async acquire(partition) {
      seen.acquired += 1
      return w.log.acquire(partition)
    },
  })
  return { w, role, seen, gain: () => given.listener?.gained(0) }
}

const startOn = (w: World, changes: Partial<Log>) =>
  startOwner({
    log: { ...w.log, ...changes },
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

test('of a process that cannot join nothing goes on', async () => {
  const w = world()
  const signals: (AbortSignal | undefined)[] = []
  const starting = startOn(w, {
    async join(listener) {
      listener.gained(0)
      throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the group has not formed' })
    },
    async readDirectory(offset, options) {
      signals.push(options.signal)
      return w.log.readDirectory(offset, options)
    },
  })
  await expect(starting).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(signals.length).toBeGreaterThan(0)
  expect(signals.map((signal) => signal?.aborted)).toEqual(signals.map(() => true))
})
