/**
 * Wake-ups between processes, over Redis: whoever listens in this process is told at once, as without it; those of other
 * processes as soon as Redis has passed it on. Nothing is kept there, and what gets lost costs a look.
 *
 * One channel for all topics, on which a process says in one message what has become readable in one turn, each topic as a
 * number: 17 bytes, four topics for a job. A channel for each topic instead would cost every job that is waited for a
 * SUBSCRIBE, an UNSUBSCRIBE and several PUBLISH, most of them for nobody: a twentieth of a busy process. Here every door
 * reads about every job of the installation: at a thousand jobs a second 70 kB and four thousand look-ups in a map, and
 * at 300 doors Redis sends 20 MB. What would be too much for it is messages, not bytes, so each process has one under way
 * at most: the slower Redis is, the fewer they are, and the more is in each.
 */
import type { Channels } from '../redis/redis.ts'
import type { Relay } from './relay.ts'

export type RedisRelayParts = {
  /** Carries everything within this process. What is published on it directly stays in this process. */
  local: Relay
  channels: Channels
  /** Begins the channel. Subscriptions know no databases: installations that share a server differ by this. */
  prefix: string
  /** This process among those that share the prefix; unique, and no secret. */
  origin: string
}

/** Topics that wait to be sent; those beyond are lost to other processes. */
const waitingMax = 10_000

/**
 * What is published reaches this process as it is; in others those who listen are told only that something was, once for
 * all that came before they were told. Never throws for a server that is away.
 */
export function redisRelay({ local, channels, prefix, origin }: RedisRelayParts): Relay {
  const channel = `${prefix}topics`
  const listeners = new Map<number, Set<(message: unknown) => void>>()
  const waiting = new Set<number>()
  let isUnderWay = false
  let isDue = false

  channels.onMessage((_, text) => {
    const message = read(text)
    if (!message || message.origin === origin) return
    for (const number of message.topics) for (const hear of [...(listeners.get(number) ?? [])]) hear(null)
  })

  function send(): void {
    isDue = false
    if (isUnderWay || waiting.size === 0) return
    isUnderWay = true
    const topics = [...waiting]
    waiting.clear()
    void channels.publish(channel, JSON.stringify({ origin, topics } satisfies Message)).then(() => {
      isUnderWay = false
      send()
    })
  }

  return {
    publish(topic, message) {
      local.publish(topic, message)
      if (waiting.size < waitingMax) waiting.add(numberOf(topic))
      // A batch of views publishes thousands in one turn.
      if (!isDue) setImmediate(send)
      isDue = true
    },
    listen(topic, hear) {
      // For good: who listens once will again, and what comes in between is cheap.
      channels.subscribe(channel)
      const stop = local.listen(topic, hear)
      const number = numberOf(topic)
      const all = listeners.get(number) ?? new Set()
      const told = (message: unknown) => hear(message)
      listeners.set(number, all.add(told))
      return () => {
        stop()
        all.delete(told)
        if (all.size === 0 && listeners.get(number) === all) listeners.delete(number)
      }
    },
    hearsAll: () => local.hearsAll() || channels.health().state === 'up',
  }
}

type Message = { origin: string; topics: readonly number[] }

/** Undefined for what no process of ours has written. */
function read(text: string): Message | undefined {
  try {
    const found = JSON.parse(text) as Partial<Message> | null
    if (typeof found?.origin !== 'string' || !Array.isArray(found.topics)) return undefined
    return { origin: found.origin, topics: found.topics }
  } catch {
    return undefined
  }
}

/** 53 bits of a topic (cyrb53, which is in the public domain). Two topics with the same number wake each other's listeners, who look for nothing. */
function numberOf(topic: string): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let at = 0; at < topic.length; at++) {
    const unit = topic.charCodeAt(at)
    high = Math.imul(high ^ unit, 2_654_435_761)
    low = Math.imul(low ^ unit, 1_597_334_677)
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909)
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909)
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0)
}
