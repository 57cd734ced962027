/** Two processes and the server between them, on a stand-in for its channels. */
import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import type { Channels, RedisHealth } from '../redis/redis.ts'
import { redisRelay } from './redis-relay.ts'
import { inProcessRelay } from './relay.ts'

/** Passes on at once what is published while it is up, as the server does, to the one who publishes as well. */
function server() {
  let state: RedisHealth['state'] = 'up'
  const clients = new Set<{ wanted: Set<string>; hear: (channel: string, text: string) => void }>()
  const sent: string[] = []
  const deliver = (channel: string, text: string) => {
    for (const { wanted, hear } of clients) if (wanted.has(channel)) hear(channel, text)
  }
  const connect = (): Channels & { wanted: Set<string> } => {
    const client = { wanted: new Set<string>(), hear: (_channel: string, _text: string) => {} }
    clients.add(client)
    return {
      wanted: client.wanted,
      publish(channel, text) {
        if (state === 'down') return
        sent.push(text)
        deliver(channel, text)
      },
      subscribe: (channel) => void client.wanted.add(channel),
      unsubscribe: (channel) => void client.wanted.delete(channel),
      onMessage(hear) {
        client.hear = hear
      },
      health: () => ({ state, sinceMs: 0 }),
    }
  }
  return {
    connect,
    deliver,
    sent,
    be(now: RedisHealth['state']) {
      state = now
    },
  }
}

/** Moves only when it is told to; nothing here may need a timer. */
function handClock() {
  let nowMs = 0
  const clock: Pick<Clock, 'nowMs'> = { nowMs: () => nowMs }
  return {
    clock,
    move(byMs: number) {
      nowMs += byMs
    },
  }
}

function scene({ hearsAll = false } = {}) {
  const redis = server()
  const { clock, move } = handClock()
  const processNamed = (origin: string) => {
    const channels = redis.connect()
    const local = inProcessRelay({ hearsAll })
    return { relay: redisRelay({ local, channels, prefix: 'pf3:', origin, clock }), local, wanted: channels.wanted }
  }
  return { redis, move, one: processNamed('one'), other: processNamed('other') }
}
const heardBy = (relay: ReturnType<typeof scene>['one']['relay'], topic = 't') => {
  const heard: unknown[] = []
  return { heard, stop: relay.listen(topic, (message) => void heard.push(message)) }
}

test('what one process publishes is heard once in every process, and nobody hears other topics', () => {
  const { one, other } = scene()
  const [here, there, elsewhere] = [heardBy(one.relay), heardBy(other.relay), heardBy(other.relay, 'u')]
  one.relay.publish('t', { n: 1 })
  other.relay.publish('t', null)
  expect([here.heard, there.heard, elsewhere.heard]).toEqual([[{ n: 1 }, null], [{ n: 1 }, null], []])
})

test('while the server is away, and when it is back, those in the same process are told as before', () => {
  const { redis, one, other } = scene()
  const [here, there] = [heardBy(one.relay), heardBy(other.relay)]
  redis.be('down')
  one.relay.publish('t', 'away')
  expect([here.heard, there.heard, one.relay.hearsAll()]).toEqual([['away'], [], false])
  redis.be('up')
  one.relay.publish('t', 'back')
  expect([here.heard, there.heard, one.relay.hearsAll()]).toEqual([['away', 'back'], ['back'], true])
})

test('a process in which everything is published hears all, server or not', () => {
  const { redis, one } = scene({ hearsAll: true })
  redis.be('down')
  expect(one.relay.hearsAll()).toBe(true)
})

test('a channel is kept while somebody listens and a little longer, however often one stops', () => {
  const { one, move } = scene()
  const passing = () => heardBy(one.relay, 'passing').stop()
  const [first, second] = [heardBy(one.relay), heardBy(one.relay)]
  first.stop()
  first.stop()
  move(60_000)
  passing()
  expect(one.wanted).toContain('pf3:t')
  second.stop()
  move(1_999)
  const third = heardBy(one.relay)
  move(60_000)
  passing()
  expect(one.wanted).toContain('pf3:t')
  third.stop()
  move(2_000)
  passing()
  expect([...one.wanted]).toEqual(['pf3:passing'])
})

test('what JSON has no form for, what is long, and what is published on the local relay stays in the process', () => {
  const { redis, one, other } = scene()
  const [here, there] = [heardBy(one.relay), heardBy(other.relay)]
  for (const message of [1n, 'x'.repeat(5_000)]) one.relay.publish('t', message)
  one.local.publish('t', 'local')
  expect([here.heard, there.heard, redis.sent]).toEqual([[1n, 'x'.repeat(5_000), 'local'], [], []])
})

test.each(['', '{', 'null', '[]', '"text"', '{"origin":1}', '{"content":1}'])(
  'what no process of ours has written is passed over: %s',
  (text) => {
    const { redis, one } = scene()
    const { heard } = heardBy(one.relay)
    redis.deliver('pf3:t', text)
    expect(heard).toEqual([])
  },
)
