/** Readers for hire: who reads on from where a lane stands gets that lane, with what it has already read. */
import type { Clock } from '../../clock.ts'
import type { TopicPartition } from './brokers.ts'
import type { KafkaConnection } from './client.ts'
import { type Lane, openLane } from './lane.ts'

export type Lanes = {
  /** Lends a lane over `parts` to `use`; `at` names where it must stand, and `use` answers where it stands after. */
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

  return {
    async during(parts, at, seek, use) {
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
      let isSound = false
      try {
        const used = await use(lane)
        isSound = true
        free.push({ lane, at: used.at })
        return used.result
      } finally {
        // The one that was read least lately goes first.
        const over = isSound && free.length > idlePerKindMax ? free.shift()?.lane : undefined
        for (const gone of [over, isSound && !isClosed ? undefined : lane])
          if (gone) {
            all.delete(gone)
            void gone.close()
          }
      }
    },
    async close() {
      isClosed = true
      await Promise.all([...all].map((lane) => lane.close()))
    },
  }
}
