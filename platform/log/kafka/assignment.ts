/**
 * Membership in the group of owners: kafkajs' consumer for who gets which partition and for heartbeats, and for nothing
 * else. It subscribes to the intake and reads none of it: every partition is paused before the first fetch.
 */
import type { AssignmentListener } from '../log.ts'
import { type KafkaConnection, kafkaClient } from './client.ts'
import { stickyAssigner } from './sticky-assigner.ts'
import { groupOf, topicOf } from './topics.ts'

export type Assignment = {
  /** A tenure of this process has ended by itself: the partition is given again after the next sign of membership. */
  dropped(partition: number): void
  leave(): Promise<void>
}

/** Others take over after this long when a process is killed or stands still; brokers allow no less by default. */
const sessionTimeoutMs = 6_000
const heartbeatMs = 400
const idleFetchMs = 100

export async function joinOwners(
  { connection, prefix, partitionCount }: { connection: KafkaConnection; prefix: string; partitionCount: number },
  listener: AssignmentListener,
): Promise<Assignment> {
  const topic = topicOf(prefix, 'intake')
  let owned = new Set<number>()
  let stamp = 0
  const fallen = new Set<number>()
  let isLeaving = false

  const consumer = kafkaClient(connection).consumer({
    groupId: groupOf(prefix),
    partitionAssigners: [stickyAssigner(topic, partitionCount, () => ({ owned: [...owned], stamp }))],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: sessionTimeoutMs,
    heartbeatInterval: heartbeatMs,
    maxWaitTimeInMs: idleFetchMs,
    allowAutoTopicCreation: false,
    retry: { restartOnFailure: async () => !isLeaving },
  })

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    // Before the first fetch of the generation: nothing is ever read here.
    const assigned = payload.memberAssignment[topic] ?? []
    consumer.pause([{ topic, partitions: assigned }])
    stamp = Math.max(stamp + 1, Date.now())
    const now = new Set(assigned)
    const before = owned
    owned = now
    for (const partition of before)
      if (!now.has(partition)) {
        fallen.delete(partition)
        listener.lost(partition)
      }
    for (const partition of now) if (!before.has(partition)) listener.gained(partition)
    takeAgain()
  })
  // A thawed process whose session is over hears so at its next heartbeat, and only a member's heartbeat counts: two
  // that fenced each other at once would go on doing so.
  consumer.on(consumer.events.HEARTBEAT, takeAgain)

  function takeAgain(): void {
    for (const partition of fallen) {
      fallen.delete(partition)
      if (!owned.has(partition)) continue
      listener.lost(partition)
      listener.gained(partition)
    }
  }

  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatch: async () => undefined })
  return {
    dropped(partition) {
      if (owned.has(partition)) fallen.add(partition)
    },
    async leave() {
      isLeaving = true
      await consumer.disconnect()
    },
  }
}
