/** How far the owners are behind, for whoever looks from outside: also when nobody serves a partition. */
import type { Admin } from 'kafkajs'
import { groupOf, topicOf } from './topics.ts'

/** Requests of each partition that were not taken when last something was committed. Throws what kafkajs throws. */
export async function intakeLag(admin: Admin, prefix: string): Promise<{ partition: number; requests: bigint }[]> {
  const topic = topicOf(prefix, 'intake')
  const [taken] = await admin.fetchOffsets({ groupId: groupOf(prefix), topics: [topic] })
  const ends = await admin.fetchTopicOffsets(topic)
  return ends.map(({ partition, high }) => {
    const offset = taken?.partitions.find((one) => one.partition === partition)?.offset ?? '-1'
    return { partition, requests: BigInt(high) - (offset === '-1' ? 0n : BigInt(offset)) }
  })
}
