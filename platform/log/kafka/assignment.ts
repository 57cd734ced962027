/**
 * Membership in the group of owners: kafkajs' consumer for who gets which partition and for heartbeats, and for nothing
 * else. It subscribes to the intake and reads none of it: every partition is paused before the first fetch.
 */
import type { Consumer } from 'kafkajs'
import { type Clock, sleep, within } from '../../clock.ts'
import { PlatformError } from '../../errors.ts'
import type { AssignmentListener } from '../log.ts'
import { answered, farewell, type KafkaConnection, kafkaClient, unavailable } from './client.ts'
import { type MemberNote, sayGoodbye } from './predecessor.ts'
import { stickyAssigner } from './sticky-assigner.ts'
import { groupOf, topicOf } from './topics.ts'

export type Assignment = {
  /** A tenure of this process was fenced: if the partition is still its own at the next sign of membership, it is given again. */
  fenced(partition: number): void
  /** A tenure of this process ended in doubt: `confirmed` waits from now on until the group has shown who is its member. */
  doubted(partition: number): void
  /**
   * Resolves when nothing speaks against acquiring the partition. Throws LOG_FENCED when it is not this process's any
   * more, LOG_UNAVAILABLE when the group says nothing for longer than a session.
   */
  confirmed(partition: number): Promise<void>
  leave(): Promise<void>
}

export type OwnersGroup = {
  connection: KafkaConnection
  prefix: string
  partitionCount: number
  clock: Clock
  /** Where this process is noted as a member, for the one that starts in its place. */
  note?: MemberNote | undefined
}

/** Others take over after this long when a process is killed or stands still; brokers allow no less by default. */
const sessionTimeoutMs = 6_000
const heartbeatMs = 400
const idleFetchMs = 100
const joinMsMax = 40_000
const signMsMax = 2 * sessionTimeoutMs
const anewMs = 500
/** A member that hears nothing for this long is none any more, whatever kafkajs believes. */
const silenceMsMax = 30_000
const watchEveryMs = 1_000

const silence = (problem: string, waitedMs: number) => () => new PlatformError('LOG_UNAVAILABLE', { problem, waitedMs })

/**
 * Resolves when this process is a member and has heard what is its own, which may be nothing. Throws LOG_UNAVAILABLE when
 * it does not come to that within 40 s.
 */
export async function joinOwners(
  { connection, prefix, partitionCount, clock, note }: OwnersGroup,
  listener: AssignmentListener,
): Promise<Assignment> {
  const topic = topicOf(prefix, 'intake')
  let owned = new Set<number>()
  let memberId: string | undefined
  let stamp = 0
  /** Times it asked to join since it last was told what is its own: more than once, and a generation may have passed it by. */
  let asked = 0
  const toGive = new Set<number>()
  const inDoubt = new Set<number>()
  const joined = Promise.withResolvers<void>()
  let signs = Promise.withResolvers<void>()
  let isLeaving = false
  let isBeginning = false
  let signedMs = clock.nowMs()
  let consumer: Consumer | undefined

  const open = (): Consumer => {
    const made = kafkaClient(connection).consumer({
      groupId: groupOf(prefix),
      partitionAssigners: [
        stickyAssigner(topic, partitionCount, () => {
          asked += 1
          return { owned: [...owned], stamp }
        }),
      ],
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: heartbeatMs,
      maxWaitTimeInMs: idleFetchMs,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: async () => made === consumer && !isLeaving },
    })
    made.on(made.events.GROUP_JOIN, ({ payload }) => {
      if (made !== consumer) return
      // Before the first fetch of the generation: nothing is ever read here.
      const assigned = payload.memberAssignment[topic] ?? []
      made.pause([{ topic, partitions: assigned }])
      take(assigned, payload.memberId)
    })
    // A thawed process whose session is over hears so at its next heartbeat, and only a member's heartbeat counts: two
    // that fenced each other at once would go on doing so.
    made.on(made.events.HEARTBEAT, () => {
      if (made === consumer) sign()
    })
    made.on(made.events.CRASH, ({ payload }) => {
      if (made === consumer && !payload.restart && !isLeaving) void beginAnew()
    })
    return made
  }

  function take(assigned: readonly number[], asMember: string): void {
    stamp = Math.max(stamp + 1, clock.nowMs())
    // Who slept through its session is another member now, and another owner may have been there in between.
    const isUnbroken = asMember === memberId && asked === 1
    const before = owned
    if (asMember !== memberId) void note?.write(asMember)
    memberId = asMember
    asked = 0
    owned = new Set(assigned)
    for (const partition of before) if (!owned.has(partition)) listener.lost(partition)
    for (const partition of owned) {
      if (isUnbroken && before.has(partition)) continue
      toGive.delete(partition)
      listener.gained(partition)
    }
    sign()
    joined.resolve()
  }

  function sign(): void {
    signedMs = clock.nowMs()
    const given = [...toGive].filter((partition) => owned.has(partition))
    toGive.clear()
    inDoubt.clear()
    for (const partition of given) listener.gained(partition)
    signs.resolve()
    signs = Promise.withResolvers()
  }

  async function begin(): Promise<void> {
    const made = open()
    consumer = made
    await made.connect()
    await made.subscribe({ topics: [topic], fromBeginning: true })
    if (made === consumer && !isLeaving) await made.run({ autoCommit: false, eachBatch: async () => undefined })
    // Given up while it was on its way: as a member that nobody listens to it would keep its partitions from others.
    if (made !== consumer || isLeaving) await farewell(clock, made)
  }

  /**
   * Of what kafkajs does not mend by itself it only says so, or it says nothing and waits for an answer that never comes;
   * its membership is over for good.
   */
  async function beginAnew(): Promise<void> {
    if (isBeginning) return
    isBeginning = true
    for (const partition of owned) listener.lost(partition)
    owned = new Set()
    for (let isIn = false; !isIn && !isLeaving; ) {
      const over = consumer
      consumer = undefined
      await farewell(clock, over)
      await sleep(clock, anewMs)
      if (isLeaving) break
      isIn = await answered(clock, begin(), joinMsMax).then(
        () => true,
        () => false,
      )
    }
    signedMs = clock.nowMs()
    isBeginning = false
  }

  let stopWatching = clock.after(watchEveryMs, watchSigns)
  function watchSigns(): void {
    if (isLeaving) return
    if (clock.nowMs() - signedMs > silenceMsMax) void beginAnew()
    stopWatching = clock.after(watchEveryMs, watchSigns)
  }

  try {
    if (note) await sayGoodbye(note, { connection, groupId: groupOf(prefix), clock })
    await answered(clock, begin(), joinMsMax)
    await within(clock, joined.promise, joinMsMax, silence('the group of owners has not formed', joinMsMax))
  } catch (error) {
    isLeaving = true
    await farewell(clock, consumer)
    throw unavailable(error)
  }
  return {
    fenced: (partition) => void toGive.add(partition),
    doubted: (partition) => void inDoubt.add(partition),
    async confirmed(partition) {
      while (inDoubt.has(partition))
        await within(clock, signs.promise, signMsMax, silence('the group of owners gives no sign', signMsMax))
      if (!owned.has(partition)) throw new PlatformError('LOG_FENCED', { partition, problem: 'it is not owned here' })
    },
    async leave() {
      isLeaving = true
      stopWatching()
      await farewell(clock, consumer)
    },
  }
}
