/** Readers for hire: who reads on from where a lane stands gets that lane, with what it has already read. */
import type { Clock } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import type { TopicPartition } from './brokers.ts'
import type { KafkaConnection } from './client.ts'
import { type Lane, openLane } from './lane.ts'

export type Lanes = {
  /**
   * Lends a lane over `parts` to `use`; `at` names where it must stand, and `use` answers where it stands after. Throws
   * LOG_UNAVAILABLE once closed; uses under way are ended by their lanes.
   */
  during<Result>(
    parts: readonly TopicPartition[],
    at: string,
    seek: (lane: Lane) => void,
    use: (lane: Lane) => Promise<{ result: Result; at: string }>,
  ): Promise<Result>
  close(): Promise<void>
}

/** Kept open for the next reader, per topics and partition: an owner, views, and somebody who rebuilds. */
const idlePerKindMax = 3

type Idle = { lane: Lane; at: string }

export function openLanes(connection: KafkaConnection, clock: Clock): Lanes {
  const idle = new Map<string, Idle[]>()
  const all = new Set<Lane>()
  let isClosed = false

  function end(lane: Lane | undefined): void {
    if (!lane || !all.delete(lane)) return
    void lane.close()
  }

  return {
    async during(parts, at, seek, use) {
      if (isClosed) throw new PlatformError('LOG_UNAVAILABLE', { problem: 'the log is closed' })
      const kind = parts.map(({ topic, partition }) => `${topic}/${partition}`).join()
      const free = idle.get(kind) ?? []
      idle.set(kind, free)
      const index = free.findIndex((one) => one.at === at)
      const found = index >= 0 ? free.splice(index, 1)[0] : undefined
      // With as many as are ever kept, the one that was read least lately is moved: another would push it out afterwards.
      const moved = !found && free.length >= idlePerKindMax ? free.shift() : undefined
      const lane = (found ?? moved)?.lane ?? openLane(parts, connection, clock)
      all.add(lane)
      if (!found) seek(lane)
      try {
        const used = await use(lane)
        free.push({ lane, at: used.at })
        // The one that was read least lately goes first.
        if (free.length > idlePerKindMax) end(free.shift()?.lane)
        return used.result
      } catch (error) {
        end(lane)
        throw error
      }
    },
    async close() {
      isClosed = true
      const closing = [...all]
      all.clear()
      await Promise.all(closing.map((lane) => lane.close()))
    },
  }
}
