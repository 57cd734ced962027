/**
 * Brokers before Kafka 4.0 are refused. There a group has what a transaction committed of its offsets a moment after the
 * transaction is over, and is asked here for what it has now: the next owner could begin from the commit before the last.
 */
import type { Clock } from '../../clock.ts'
import { answered, clusterClient, farewell, type KafkaConnection } from './client.ts'

export const oldestKafka = '4.0'

/**
 * Kafka 4.0 removed the first four versions of Fetch, and says so when it is asked what it knows; 3.9 still has them all.
 * Of Produce it lists what it has no more, for clients that look there.
 */
const fetchKey = 1
const fetchOldest = 4

/** Asks one of the brokers. Rejects when none of them answers within 10 s. */
export async function isTooOld(connection: KafkaConnection, clock: Clock): Promise<boolean> {
  const cluster = clusterClient(connection)
  try {
    await answered(clock, cluster.connect())
    return (cluster.brokerPool.versions?.[fetchKey]?.minVersion ?? 0) < fetchOldest
  } finally {
    await farewell(clock, cluster)
  }
}
