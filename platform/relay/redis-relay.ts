/**
 * Wake-ups between processes, over Redis: whoever listens in this process is told at once, as without it; those of other
 * processes as soon as Redis has passed it on. Nothing is kept there, and what gets lost costs a look.
 *
 * Every topic has a channel of its own, subscribed to while somebody here waits for it. On one channel for all, every
 * process would read about every job of the installation to find the few that somebody waits for at its door; so Redis
 * drops what nobody waits for, which is most of it.
 */
import type { EpochMs } from '../../schemas/units.ts'
import type { Clock } from '../clock.ts'
import type { Channels } from '../redis/redis.ts'
import type { Relay } from './relay.ts'

export type RedisRelayParts = {
  /** Carries everything within this process. What is published on it directly stays in this process. */
  local: Relay
  channels: Channels
  /** Begins every channel. Subscriptions know no databases: installations that share a server differ by this. */
  prefix: string
  /** This process among those that share the prefix; unique, and no secret. */
  origin: string
  clock: Pick<Clock, 'nowMs'>
}

const textCharsMax = 4_096
/** How long a channel is kept after the last who listened, in milliseconds: a stream listens anew after every event. */
const lingerMs = 2_000

/**
 * What is published reaches this process as it is, and others as JSON; what JSON has no form for, or is longer than
 * 4,096 characters, reaches this process only. Never throws for a server that is away.
 */
export function redisRelay({ local, channels, prefix, origin, clock }: RedisRelayParts): Relay {
  const listeners = new Map<string, number>()
  /** Topics nobody listens to any more, by when their channels are given up; the first is due first. */
  const leaving = new Map<string, EpochMs>()

  channels.onMessage((channel, text) => {
    const message = channel.startsWith(prefix) ? read(text) : undefined
    if (message && message.origin !== origin) local.publish(channel.slice(prefix.length), message.content)
  })

  function join(topic: string): void {
    giveUpDue()
    leaving.delete(topic)
    listeners.set(topic, (listeners.get(topic) ?? 0) + 1)
    channels.subscribe(prefix + topic)
  }

  function leave(topic: string): void {
    const left = (listeners.get(topic) ?? 1) - 1
    if (left > 0) listeners.set(topic, left)
    else {
      listeners.delete(topic)
      leaving.set(topic, clock.nowMs() + lingerMs)
    }
    giveUpDue()
  }

  /** Not by a timer: where nobody comes and goes, a channel too many harms nobody. */
  function giveUpDue(): void {
    for (const [topic, dueMs] of leaving) {
      if (dueMs > clock.nowMs()) return
      leaving.delete(topic)
      channels.unsubscribe(prefix + topic)
    }
  }

  return {
    publish(topic, message) {
      local.publish(topic, message)
      const text = textOf({ origin, content: message })
      if (text !== undefined) channels.publish(prefix + topic, text)
    },
    listen(topic, hear) {
      const stop = local.listen(topic, hear)
      join(topic)
      let isListening = true
      return () => {
        stop()
        if (isListening) leave(topic)
        isListening = false
      }
    },
    hearsAll: () => local.hearsAll() || channels.health().state === 'up',
  }
}

type Message = { origin: string; content: unknown }

function textOf(message: Message): string | undefined {
  try {
    const text = JSON.stringify(message)
    return text.length <= textCharsMax ? text : undefined
  } catch {
    return undefined
  }
}

/** Undefined for what no process of ours has written. */
function read(text: string): Message | undefined {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found !== 'object' || found === null || !('origin' in found) || typeof found.origin !== 'string')
      return undefined
    return { origin: found.origin, content: 'content' in found ? found.content : undefined }
  } catch {
    return undefined
  }
}
