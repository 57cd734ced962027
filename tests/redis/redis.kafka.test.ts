/** On a real Redis: what processes tell each other and count together, and that they go on when it stops, dies and comes back. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { limitDefaults, limits } from '../../api/limits/limits.ts'
import { examine } from '../../bin/commands/doctor.ts'
import { systemClock } from '../../platform/clock.ts'
import { redisRelay } from '../../platform/relay/redis-relay.ts'
import { inProcessRelay } from '../../platform/relay/relay.ts'
import { freePort } from '../machine/free-port.ts'
import { makeCertificate } from '../transport/certificate.ts'
import { type Client, clientAt, ownRedis } from './own-redis.ts'

const soon = { timeout: 10_000, interval: 20 }
const newPrefix = () => `test:${randomUUID()}:`
const isUp = (...clients: Client[]) =>
  expect.poll(() => clients.map((client) => client.health().state), soon).toEqual(clients.map(() => 'up'))
const isDown = (...clients: Client[]) =>
  expect.poll(() => clients.map((client) => client.health().state), soon).toEqual(clients.map(() => 'down'))

function relayOn(client: Client, prefix: string) {
  const heard: unknown[] = []
  const relay = redisRelay({
    local: inProcessRelay({ hearsAll: false }),
    channels: client,
    prefix,
    origin: randomUUID(),
  })
  return { relay, heard, hear: (topic: string) => relay.listen(topic, (message) => void heard.push(message)) }
}

/** Publishes until it is heard: a subscription takes a moment, and what comes before it is lost. */
const heardFrom = (publisher: ReturnType<typeof relayOn>, listener: ReturnType<typeof relayOn>, topic = 't') =>
  expect
    .poll(() => {
      publisher.relay.publish(topic, null)
      return listener.heard.length
    }, soon)
    .toBeGreaterThan(0)

describe('relays', () => {
  test('tell each other, once, and those of another installation nothing', async () => {
    const url = process.env['PF3_TEST_REDIS_URL'] ?? ''
    const clients = [clientAt({ url }), clientAt({ url }), clientAt({ url })] as const
    await isUp(...clients)
    const prefix = newPrefix()
    const [one, other, stranger] = [
      relayOn(clients[0], prefix),
      relayOn(clients[1], prefix),
      relayOn(clients[2], newPrefix()),
    ]
    const topics = Array.from({ length: 5_000 }, (_, n) => `topic ${n}`)
    for (const { hear } of [one, other, stranger]) for (const topic of [...topics, 't']) hear(topic)
    await heardFrom(one, other)
    await heardFrom(other, one)
    for (const { heard } of [one, other]) heard.splice(0)
    // In one turn, as a batch of views publishes them.
    for (const topic of topics) one.relay.publish(topic, 'here')
    expect(one.heard.filter((message) => message === 'here')).toHaveLength(5_000)
    await expect.poll(() => other.heard.length, soon).toBeGreaterThanOrEqual(5_000)
    other.relay.publish('topic 7', 'there')
    await expect.poll(() => one.heard.length, soon).toBeGreaterThanOrEqual(5_001)
    expect(stranger.heard).toEqual([])
  })

  test.each([
    ['stops answering', 'SIGSTOP'],
    ['is killed', 'SIGKILL'],
  ] as const)('go on within the process while the server %s, and beyond it when it is back', async (_, signal) => {
    const redis = await ownRedis()
    const clients = [clientAt(redis), clientAt(redis)] as const
    await isUp(...clients)
    const prefix = newPrefix()
    const [one, other] = [relayOn(clients[0], prefix), relayOn(clients[1], prefix)]
    for (const { hear } of [one, other]) hear('t')
    await heardFrom(one, other)

    if (signal === 'SIGKILL') await redis.part().stop(signal)
    else redis.part().signal(signal)
    one.heard.splice(0)
    one.relay.publish('t', 'at once')
    expect(one.heard).toEqual(['at once'])
    await isDown(...clients)
    expect(one.relay.hearsAll()).toBe(false)
    // Far more than is kept: what nobody can be told is let go.
    for (let n = 0; n < 50_000; n++) one.relay.publish('t', n)
    expect(one.heard).toHaveLength(50_001)
    one.hear('u')
    other.hear('u')

    if (signal === 'SIGKILL') await redis.start()
    else redis.part().signal('SIGCONT')
    await isUp(...clients)
    for (const { heard } of [one, other]) heard.splice(0)
    await heardFrom(one, other)
    other.heard.splice(0)
    await heardFrom(one, other, 'u')
    for (const { changes } of clients) expect(changes).toEqual(['up', 'down', 'up'])
  })
})

describe('limits', () => {
  const options = { ...limitDefaults, perTenantMax: 10, failuresPerAddressMax: 4 }
  const on = (client: Client, prefix: string) =>
    limits(options, { commands: client.commands, prefix, clock: systemClock })
  const asks = async (door: ReturnType<typeof limits>, times: number, tenantId = 'harbor') => {
    const answers: (string | undefined)[] = []
    for (let time = 0; time < times; time++)
      answers.push(
        await door.ofTenant(tenantId).then(
          () => 'let in',
          (problem: { code?: string }) => problem.code,
        ),
      )
    return answers
  }
  const times = (count: number, answer: string) => Array<string>(count).fill(answer)

  test('are one count for all processes', async () => {
    const url = process.env['PF3_TEST_REDIS_URL'] ?? ''
    const clients = [clientAt({ url }), clientAt({ url })] as const
    await isUp(...clients)
    const prefix = newPrefix()
    const [one, other] = [on(clients[0], prefix), on(clients[1], prefix)]
    expect(await asks(one, 6)).toEqual(times(6, 'let in'))
    expect(await asks(other, 6)).toEqual([...times(4, 'let in'), ...times(2, 'RATE_LIMITED')])
    expect(await asks(one, 1)).toEqual(['RATE_LIMITED'])
    expect(await asks(one, 1, 'other')).toEqual(['let in'])

    for (let time = 0; time < 4; time++) await (time % 2 === 0 ? one : other).credentialFailed('192.0.2.1')
    for (const door of [one, other]) {
      await expect(door.checkAddress('192.0.2.1')).rejects.toMatchObject({ code: 'TOO_MANY_FAILURES' })
      await door.checkAddress('192.0.2.2')
    }
    // Nothing stays that is not needed.
    const keys = await clients[0].commands.keys(`${prefix}*`)
    expect(keys.toSorted()).toEqual(['address:192.0.2.1', 'tenant:harbor', 'tenant:other'].map((key) => prefix + key))
    for (const key of keys) expect(await clients[0].commands.ttl(key)).toBeGreaterThan(0)
  })

  test('let in exactly as many of those that come at once at two doors, each told what was left after it', async () => {
    const url = process.env['PF3_TEST_REDIS_URL'] ?? ''
    const clients = [clientAt({ url }), clientAt({ url })] as const
    await isUp(...clients)
    const prefix = newPrefix()
    const doors = clients.map((client) => on(client, prefix))
    const answers = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) => doors[n % 2]?.ofTenant(n % 3 === 0 ? 'few' : 'many')),
    )
    const left = answers.map((answer) =>
      answer.status === 'fulfilled' ? /r=(\d+)/.exec(answer.value?.headers['RateLimit'] ?? '')?.[1] : 'refused',
    )
    const all = Array.from({ length: 10 }, (_, n) => String(n))
    expect(left.filter((_, n) => n % 3 === 0).toSorted()).toEqual(all)
    expect(left.filter((_, n) => n % 3 !== 0).toSorted()).toEqual([...all, ...times(10, 'refused')])
  })

  test.each([
    ['stops answering', 'SIGSTOP'],
    ['is killed', 'SIGKILL'],
  ] as const)('are counted in memory while the server %s, and together again when it is back', async (_, signal) => {
    const redis = await ownRedis()
    const clients = [clientAt(redis), clientAt(redis)] as const
    await isUp(...clients)
    const prefix = newPrefix()
    const [one, other] = [on(clients[0], prefix), on(clients[1], prefix)]
    expect(await asks(one, 1)).toEqual(['let in'])

    if (signal === 'SIGKILL') await redis.part().stop(signal)
    else redis.part().signal(signal)
    // The first may have to find out that nobody answers; nobody waits for longer than the bound of a command.
    const sinceMs = performance.now()
    expect(await asks(one, 1, 'first')).toEqual(['let in'])
    await one.checkAddress('192.0.2.1')
    expect(performance.now() - sinceMs).toBeLessThan(1_000)
    await isDown(...clients)
    const downSinceMs = performance.now()
    for (const door of [one, other])
      expect(await asks(door, 11, 'second')).toEqual([...times(10, 'let in'), 'RATE_LIMITED'])
    for (let time = 0; time < 4; time++) await one.credentialFailed('192.0.2.1')
    await expect(one.checkAddress('192.0.2.1')).rejects.toMatchObject({ code: 'TOO_MANY_FAILURES' })
    expect(performance.now() - downSinceMs).toBeLessThan(1_000)

    if (signal === 'SIGKILL') await redis.start()
    else redis.part().signal('SIGCONT')
    await isUp(...clients)
    expect(await asks(one, 6, 'third')).toEqual(times(6, 'let in'))
    expect(await asks(other, 6, 'third')).toEqual([...times(4, 'let in'), ...times(2, 'RATE_LIMITED')])
  })
})

describe('the connection', () => {
  const filesOf = () => {
    const dir = mkdtempSync(join(tmpdir(), 'pf3-redis-tls-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    return (name: string, text: string) => {
      writeFileSync(join(dir, name), text)
      return join(dir, name)
    }
  }
  const withPassword = (url: string, password: string) => url.replace('://', `://:${encodeURIComponent(password)}@`)
  const doctorOn = async (env: Record<string, string>) =>
    (await examine({ PF3_PORT: '0', ...env })).find(({ what }) => what === 'Redis')

  test('is by TLS 1.3 and password, to the server that was meant', async () => {
    const [certificate, file] = [makeCertificate(['localhost']), filesOf()]
    const password = 'p@ss/w:rd'
    const redis = await ownRedis({ tls: certificate, settings: ['--requirepass', password] })
    const url = withPassword(redis.url, password)
    const client = clientAt({ url, ca: certificate.cert })
    await isUp(client)
    expect(await client.commands.ping()).toBe('PONG')

    const strangers = [
      clientAt({ url, ca: makeCertificate(['localhost']).cert }),
      clientAt({ url: url.replace('localhost', '127.0.0.1'), ca: certificate.cert }),
      clientAt({ url: withPassword(redis.url, 'wrong'), ca: certificate.cert }),
      clientAt({ url: redis.url, ca: certificate.cert }),
    ]
    await expect.poll(() => strangers.map(({ changes }) => changes), soon).toEqual(strangers.map(() => ['down']))

    const caFile = file('ca.pem', certificate.cert)
    const otherFile = file('other.pem', makeCertificate(['localhost']).cert)
    expect(await doctorOn({ PF3_REDIS_URL: url, PF3_REDIS_CA_FILE: caFile })).toEqual({
      what: 'Redis',
      found: expect.stringMatching(/^Redis \d+\.\d+\.\d+, by TLSv1\.3$/),
    })
    for (const env of [
      { PF3_REDIS_URL: url, PF3_REDIS_CA_FILE: otherFile },
      { PF3_REDIS_URL: withPassword(redis.url, 'wr0ng/one'), PF3_REDIS_CA_FILE: caFile },
    ]) {
      const finding = await doctorOn(env)
      expect(finding).toMatchObject({ problem: expect.stringMatching(/self-signed|unable to|WRONGPASS/) })
      expect(JSON.stringify(finding)).not.toMatch(/p@ss|wr0ng/)
    }
  })

  test('is enough for a user who may do what is documented, and no more', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/reliability.md'), 'utf8')
    const rules = /```text\n(?<rules>~pf3:[^\n]+)\n```/.exec(page)?.groups?.['rules']?.split(' ') ?? []
    expect(rules.length).toBeGreaterThan(10)
    const redis = await ownRedis({ settings: ['--user', 'pf3', 'on', '>secret', ...rules] })
    const url = redis.url.replace('://', '://pf3:secret@')
    const clients = [clientAt({ url }), clientAt({ url })] as const
    await isUp(...clients)
    const [one, other] = [relayOn(clients[0], 'pf3:a:'), relayOn(clients[1], 'pf3:a:')]
    other.hear('t')()
    other.hear('t')
    await heardFrom(one, other)
    const door = limits(
      { ...limitDefaults, failuresPerAddressMax: 1 },
      { commands: clients[0].commands, prefix: 'pf3:a:', clock: systemClock },
    )
    await door.ofTenant('harbor')
    await door.credentialFailed('192.0.2.1')
    await expect(door.checkAddress('192.0.2.1')).rejects.toMatchObject({ code: 'TOO_MANY_FAILURES' })
    // In Redis, not in the memory that would have stood in for it.
    const owner = clientAt(redis)
    await isUp(owner)
    expect((await owner.commands.keys('*')).toSorted()).toEqual(['pf3:a:address:192.0.2.1', 'pf3:a:tenant:harbor'])
    await expect(clients[0].commands.set('other', 1)).rejects.toThrow('NOPERM')
    expect(await doctorOn({ PF3_REDIS_URL: url })).toMatchObject({ found: expect.stringContaining('plain text') })
  })

  test('is not made by less than TLS 1.3', async () => {
    const certificate = makeCertificate(['localhost'])
    const old = await ownRedis({ tls: certificate, settings: ['--tls-protocols', 'TLSv1.2'] })
    const client = clientAt({ url: old.url, ca: certificate.cert })
    await expect.poll(() => client.changes, soon).toEqual(['down'])
  })

  test('comes by itself to a server that is started later, and closes at once where there is none', async () => {
    const nobody = clientAt({ url: `redis://127.0.0.1:${await freePort()}` })
    await expect.poll(() => nobody.changes, soon).toEqual(['down'])
    await expect(nobody.commands.ping()).rejects.toThrow()
    const redis = await ownRedis()
    await redis.stop()
    const client = clientAt(redis)
    await expect.poll(() => client.changes, soon).toEqual(['down'])
    await redis.start()
    await expect.poll(() => client.changes, soon).toEqual(['down', 'up'])
    const sinceMs = performance.now()
    await Promise.all([nobody.close(), client.close()])
    expect(performance.now() - sinceMs).toBeLessThan(500)
  })
})
