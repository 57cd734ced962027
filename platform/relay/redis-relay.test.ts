/** Two processes and the server between them, on a stand-in for its channels. */
import { expect, test } from 'vitest'
import type { Channels, RedisHealth } from '../redis/redis.ts'
import { redisRelay } from './redis-relay.ts'
import { inProcessRelay } from './relay.ts'

/** Passes on at once what is published while it is up, as the server does, to the one who publishes as well. */
function server() {
  let state: RedisHealth['state'] = 'up'
  const clients = new Set<{ wanted: Set<string>; hear: (channel: string, text: string) => void }>()
  const sent: string[] = []
  let answered = Promise.resolve()
  const deliver = (channel: string, text: string) => {
    for (const { wanted, hear } of clients) if (wanted.has(channel)) hear(channel, text)
  }
  const connect = (): Channels & { wanted: Set<string> } => {
    const client = { wanted: new Set<string>(), hear: (_channel: string, _text: string) => {} }
    clients.add(client)
    return {
      wanted: client.wanted,
      async publish(channel, text) {
        if (state === 'down') return
        sent.push(text)
        await answered
        deliver(channel, text)
      },
      subscribe: (channel) => void client.wanted.add(channel),
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
    /** Answers nothing until what it returns is called. */
    hang(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>()
      answered = promise
      return resolve
    },
  }
}

function scene({ hearsAll = false } = {}) {
  const redis = server()
  const processNamed = (origin: string) => {
    const channels = redis.connect()
    const local = inProcessRelay({ hearsAll })
    return { relay: redisRelay({ local, channels, prefix: 'pf3:', origin }), local, wanted: channels.wanted }
  }
  return { redis, one: processNamed('one'), other: processNamed('other') }
}
const heardBy = (relay: ReturnType<typeof scene>['one']['relay'], topic = 't') => {
  const heard: unknown[] = []
  return { heard, stop: relay.listen(topic, (message) => void heard.push(message)) }
}
/** What was published in a turn is sent after it. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what one process publishes is heard in every process, in others without what it says, and nobody hears other topics', async () => {
  const { one, other } = scene()
  const [here, there, elsewhere] = [heardBy(one.relay), heardBy(other.relay), heardBy(other.relay, 'u')]
  one.relay.publish('t', { n: 1 })
  expect([here.heard, there.heard]).toEqual([[{ n: 1 }], []])
  await turn()
  other.relay.publish('t', 2)
  await turn()
  expect([here.heard, there.heard, elsewhere.heard]).toEqual([[{ n: 1 }, null], [null, 2], []])
})

test('all topics of a turn go in one message, each once', async () => {
  const { redis, one, other } = scene()
  const topics = Array.from({ length: 2_000 }, (_, n) => `topic-${n}`)
  const heard = topics.map((topic) => heardBy(other.relay, topic).heard)
  for (const topic of [...topics, ...topics]) one.relay.publish(topic, null)
  await turn()
  expect(redis.sent).toHaveLength(1)
  expect(heard).toEqual(topics.map(() => [null]))
})

test('while the server has not answered nothing more is sent, and what comes in the meantime goes together', async () => {
  const { redis, one, other } = scene()
  const [first, second, third] = ['a', 'b', 'c'].map((topic) => heardBy(other.relay, topic).heard)
  const answer = redis.hang()
  for (const topic of ['a', 'b', 'c']) {
    one.relay.publish(topic, null)
    await turn()
  }
  expect([redis.sent.length, first, second, third]).toEqual([1, [], [], []])
  answer()
  await turn()
  expect([redis.sent.length, first, second, third]).toEqual([2, [null], [null], [null]])
})

test('of more topics than are kept for a server that does not answer, the first are', async () => {
  const { redis, one, other } = scene()
  const answer = redis.hang()
  one.relay.publish('blocks', null)
  await turn()
  const [kept, lost] = [heardBy(other.relay, 'topic-0'), heardBy(other.relay, 'topic-10000')]
  for (let n = 0; n <= 10_000; n++) one.relay.publish(`topic-${n}`, null)
  answer()
  await turn()
  expect([kept.heard, lost.heard]).toEqual([[null], []])
})

test('while the server is away, and when it is back, those in the same process are told as before', async () => {
  const { redis, one, other } = scene()
  const [here, there] = [heardBy(one.relay), heardBy(other.relay)]
  redis.be('down')
  one.relay.publish('t', 'away')
  await turn()
  expect([here.heard, there.heard, one.relay.hearsAll()]).toEqual([['away'], [], false])
  redis.be('up')
  one.relay.publish('t', 'back')
  await turn()
  expect([here.heard, there.heard, one.relay.hearsAll()]).toEqual([['away', 'back'], [null], true])
})

test('a process in which everything is published hears all, server or not', () => {
  const { redis, one } = scene({ hearsAll: true })
  redis.be('down')
  expect(one.relay.hearsAll()).toBe(true)
})

test('who stops listening hears nothing more, others of the same topic do; one channel serves all', async () => {
  const { one, other } = scene()
  const [first, second] = [heardBy(other.relay), heardBy(other.relay)]
  expect([...other.wanted, ...one.wanted]).toEqual(['pf3:topics'])
  first.stop()
  first.stop()
  one.relay.publish('t', null)
  await turn()
  second.stop()
  const third = heardBy(other.relay)
  one.relay.publish('t', null)
  await turn()
  expect([first.heard, second.heard, third.heard]).toEqual([[], [null], [null]])
})

test('what is published on the local relay stays in the process', async () => {
  const { redis, one, other } = scene()
  const [here, there] = [heardBy(one.relay), heardBy(other.relay)]
  one.local.publish('t', 'local')
  await turn()
  expect([here.heard, there.heard, redis.sent]).toEqual([['local'], [], []])
})

test.each([
  '',
  '{',
  'null',
  '[]',
  '"text"',
  '{"origin":1,"topics":[1]}',
  '{"topics":[1]}',
  '{"origin":"x","topics":1}',
  '{"origin":"x","topics":["t",null]}',
])('what no process of ours has written is passed over: %s', (text) => {
  const { redis, one } = scene()
  const { heard } = heardBy(one.relay)
  redis.deliver('pf3:topics', text)
  expect(heard).toEqual([])
})
