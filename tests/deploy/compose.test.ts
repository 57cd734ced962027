/** What of docker-compose.yml can be known without a Docker engine: its form, what it asks of PF-3, and what it leaves open to nobody. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DCLinter } from 'dclint'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../../bin/config.ts'
import { options } from '../../bin/options.ts'
import { roles } from '../../bin/roles.ts'

type Service = {
  image?: string
  build?: string
  command?: string | string[]
  entrypoint?: string[]
  environment?: Record<string, string | number>
  depends_on?: Record<string, { condition: string; required?: boolean }>
  healthcheck?: { test?: string | string[]; disable?: boolean }
  ports?: string[]
  profiles?: string[]
  volumes?: string[]
  tmpfs?: string[]
  network_mode?: string
  privileged?: boolean
  read_only?: boolean
  restart?: string
  cap_drop?: string[]
  cap_add?: string[]
  security_opt?: string[]
}

const root = join(import.meta.dirname, '../..')
const path = join(root, 'docker-compose.yml')
const text = readFileSync(path, 'utf8')
const compose = parse(text, { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, unknown>
}
const services = Object.entries(compose.services)
const serviceOf = (name: string): Service => {
  const service = compose.services[name]
  if (!service) throw new Error(`there is no service ${name}`)
  return service
}
const isOurs = ([, { image }]: [string, Service]): boolean => image === 'pf3:local'
const isOneShot = ({ restart }: Service): boolean => restart === 'no'
const secretName = /PASSWORD|TOKEN|SECRET|_KEY$|REDISCLI_AUTH/

/** What Compose puts in place of `${...}`: what is given, else the default; throws what the file says where a value must be given. */
function interpolate(value: string, given: Readonly<Record<string, string>>): string {
  return value.replaceAll(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_, name: string, sign: string | undefined, rest: string) => {
      if (given[name]) return given[name]
      if (sign === '?') throw new Error(`${name}: ${rest}`)
      return rest ?? ''
    },
  )
}
const secrets = {
  PF3_ROOT_TOKEN: 'x'.repeat(64),
  POSTGRES_PASSWORD: 'y'.repeat(64),
  REDIS_PASSWORD: 'z'.repeat(64),
}

type Message = { rule: string; type: string; category: string; message: string }

/** What the linter says of a file with this text, but for matters of style that are no errors. */
function lint(source: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'compose-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'docker-compose.yml')
  writeFileSync(file, source)
  const linter = new DCLinter({ rules: {}, quiet: false, debug: false, exclude: [] })
  const results: { messages: Message[] }[] = linter.lintFiles([file], false)
  expect(results.length).toBe(1)
  return results.flatMap(({ messages }) =>
    messages
      .filter(({ type, category }) => type === 'error' || category !== 'style')
      .map(({ rule, message }) => `${rule}: ${message}`),
  )
}

describe('its form', () => {
  test('is that of the Compose specification, and good practice', () => {
    expect(lint(text)).toEqual([])
  })

  test.for([
    ['a misspelt key', '    read_only: true', '    read_onlt: true'],
    ['a condition that there is not', 'condition: service_healthy', 'condition: service_well'],
    ['a port open to every network', "'127.0.0.1:${", "'${"],
  ])('the check finds %s', ([, right = '', wrong = '']) => {
    expect(text).toContain(right)
    expect(lint(text.replace(right, wrong)).length).toBeGreaterThan(0)
  })

  test('every service and volume that is referred to is there, and every volume is used', () => {
    for (const [name, { depends_on = {}, network_mode = '' }] of services) {
      for (const [other, { condition, required = true }] of Object.entries(depends_on)) {
        expect(Object.keys(compose.services), name).toContain(other)
        const { healthcheck, profiles = [] } = serviceOf(other)
        if (condition === 'service_healthy') expect(healthcheck?.test, `${name} waits for ${other}`).toBeDefined()
        if (condition === 'service_completed_successfully') expect(isOneShot(serviceOf(other)), other).toBe(true)
        if (profiles.length > 0) expect(required, `${other} is not always there`).toBe(false)
      }
      if (network_mode.startsWith('service:')) expect(depends_on, name).toHaveProperty([network_mode.slice(8)])
    }
    const used = services.flatMap(([, { volumes = [] }]) =>
      volumes.map((volume) => interpolate(volume, {}).split(':')[0] ?? ''),
    )
    const named = used.filter((volume) => !volume.startsWith('.'))
    // The broker that is one of three has its data there.
    expect(new Set([...named, 'kafka-1'])).toEqual(new Set(Object.keys(compose.volumes)))
    for (const file of used.filter((volume) => volume.startsWith('.'))) expect(existsSync(join(root, file))).toBe(true)
  })

  test('nothing waits for itself', () => {
    const settled = new Set<string>()
    for (let before = -1; before < settled.size; ) {
      before = settled.size
      for (const [name, { depends_on = {} }] of services)
        if (Object.keys(depends_on).every((other) => settled.has(other))) settled.add(name)
    }
    expect(services.map(([name]) => name).filter((name) => !settled.has(name))).toEqual([])
  })
})

describe('what it asks of PF-3', () => {
  const ours = services.filter(isOurs)
  const asked = new Set(
    [
      ...text.matchAll(/\bPF3_[A-Z0-9_]+/g),
      ...readFileSync(join(root, 'deploy/docker/cluster.env'), 'utf8').matchAll(/\bPF3_[A-Z0-9_]+/g),
    ].map(([name]) => name),
  )

  test('there is a service for every role, which has that role alone, and one that makes the topics', () => {
    expect(ours.map(([name]) => name).sort()).toEqual([...roles, 'topics'].sort())
    for (const role of roles) expect(serviceOf(role).command).toEqual(['start', '--roles', role])
    const ports = roles.map((role) => serviceOf(role).environment?.['PF3_PORT'])
    expect(new Set(ports).size, 'all share one network namespace').toBe(roles.length)
    expect(serviceOf('topics').command).toEqual(['topics', 'apply'])
  })

  test('every variable is an option', () => {
    const known: readonly string[] = options.map(({ name }) => name)
    expect([...asked].filter((name) => !known.includes(name))).toEqual([])
  })

  test.for(ours)('the options of %s are a configuration without a complaint', ([, { environment = {} }]) => {
    const given = Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [name, interpolate(String(value), secrets)]),
    )
    expect(readConfig(given).rootToken).toBe(secrets.PF3_ROOT_TOKEN)
  })

  test('they run as the Dockerfile says, with nothing to write to but what is given to them', () => {
    for (const [name, service] of ours) {
      expect(service, name).not.toHaveProperty('user')
      expect(service.read_only, name).toBe(true)
      expect(service.tmpfs, name).toContain('/tmp')
      const writable = [service.volumes ?? [], service.tmpfs ?? []].flat().filter((place) => !place.endsWith(':ro'))
      expect(
        writable.some((place) => /(^|:)\/var\/lib\/pf3(:|$)/.test(place)),
        name,
      ).toBe(true)
    }
  })
})

describe('what it leaves open', () => {
  test('every service has a health check, or runs once', () => {
    for (const [name, service] of services) {
      if (isOneShot(service)) continue
      expect(service.healthcheck?.test, name).toBeDefined()
      expect(service.healthcheck?.disable, name).toBeUndefined()
      expect(service.restart, name).toBe('unless-stopped')
    }
    expect(services.filter(([, service]) => isOneShot(service)).map(([name]) => name)).toEqual(['keys', 'topics'])
  })

  test('ports are published on loopback', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published)
    expect(ports.length).toBeGreaterThan(0)
    for (const port of ports) expect(interpolate(port, {})).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })

  test('all share one network namespace, where nothing but what is published listens outside loopback', () => {
    for (const [name, { network_mode }] of services)
      expect(network_mode, name).toBe(
        { net: undefined, keys: 'none' }[name] ?? (name === 'net' ? undefined : 'service:net'),
      )
    const listening = services.flatMap(([name, { environment = {} }]) =>
      Object.entries(environment)
        .filter(([, value]) => /0\.0\.0\.0|\[::\]/.test(String(value)))
        .map(([variable]) => `${name} ${variable}`),
    )
    expect(listening).toEqual(['api PF3_HOST'])
    // Which speaks TLS there, and does not claim that somebody else does.
    expect(serviceOf('api').environment).toHaveProperty('PF3_TLS_CERT_FILE')
    expect(text).not.toContain('PF3_TLS_TERMINATED')
  })

  test('no secret stands in it: every one has to be given, and the file says so', () => {
    const named = services.flatMap(([name, { environment = {} }]) =>
      Object.entries(environment)
        .filter(([variable]) => secretName.test(variable))
        .map(([variable, value]) => ({ at: `${name} ${variable}`, value: String(value) })),
    )
    expect(named.length).toBeGreaterThan(0)
    for (const { at, value } of named) expect(value, at).toMatch(/^\$\{\w+:\?[^}]{20,}\}$/)
    // Nor inside an address.
    for (const [, userInfo = ''] of text.matchAll(/\/\/([^/\s]*)@127/g)) expect(userInfo).toMatch(/^\w*:\$\{\w+:\?/)
    for (const name of Object.keys(secrets)) {
      const others = Object.fromEntries(Object.entries(secrets).filter(([other]) => other !== name))
      expect(() => interpolate(text, others)).toThrow(name)
      expect(() => interpolate(text, { ...others, [name]: '' })).toThrow(name)
    }
  })

  test('what is asked to be set is what the page says how to set, and git does not take it', () => {
    const asked = new Set([...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name))
    expect([...asked].sort()).toEqual(Object.keys(secrets).sort())
    const page = readFileSync(join(root, 'docs/docker.md'), 'utf8')
    for (const name of asked) expect(page).toContain(name)
    expect(readFileSync(join(root, '.gitignore'), 'utf8').split('\n')).toContain('.env')
  })

  test('nobody has capabilities or can gain any', () => {
    for (const [name, service] of services) {
      expect(service.cap_drop, name).toEqual(['ALL'])
      expect(service.cap_add ?? [], name).toEqual(name === 'keys' ? ['CHOWN'] : [])
      expect(service.security_opt, name).toContain('no-new-privileges:true')
      expect(service.privileged, name).toBeUndefined()
      expect(service.volumes?.join() ?? '', name).not.toContain('docker.sock')
    }
  })

  test('every image that is fetched has a version', () => {
    for (const [name, { image = '', build }] of services)
      if (build === undefined) expect(image, name).toMatch(/:v?\d+(\.\d+)*[\w.-]*$/)
  })
})

describe('three brokers', () => {
  const lines = readFileSync(join(root, 'deploy/docker/cluster.env'), 'utf8').split('\n')
  const cluster = Object.fromEntries(
    lines
      .filter((line) => /^\w+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const brokers = ['kafka', 'kafka-2', 'kafka-3'].map((name) => {
    const { environment = {} } = serviceOf(name)
    return Object.fromEntries(
      Object.entries(environment).map(([variable, value]) => [variable, interpolate(String(value), cluster)]),
    )
  })

  test('every broker is a voter, is called where it listens, and keeps data of its own', () => {
    expect(cluster.COMPOSE_PROFILES).toBe('cluster')
    expect(brokers.map((broker) => broker.KAFKA_ADVERTISED_LISTENERS?.replace('PLAINTEXT://', '')).join()).toBe(
      cluster.PF3_KAFKA_BROKERS,
    )
    expect(
      brokers
        .map(({ KAFKA_NODE_ID, KAFKA_LISTENERS }) => `${KAFKA_NODE_ID}@${KAFKA_LISTENERS?.split('CONTROLLER://')[1]}`)
        .join(),
    ).toBe(cluster.KAFKA_VOTERS)
    for (const { KAFKA_LISTENERS, KAFKA_ADVERTISED_LISTENERS } of brokers)
      expect(KAFKA_LISTENERS).toContain(KAFKA_ADVERTISED_LISTENERS)
    const volumes = ['kafka', 'kafka-2', 'kafka-3'].map((name) =>
      interpolate(serviceOf(name).volumes?.[0] ?? '', cluster),
    )
    expect(new Set(volumes).size).toBe(3)
    expect(volumes[0]).not.toBe(interpolate(serviceOf('kafka').volumes?.[0] ?? '', {}))
  })

  test('what is acknowledged is with two of three', () => {
    for (const broker of brokers) {
      const of = (name: string) =>
        Object.entries(broker)
          .filter(([variable]) => variable.endsWith(name))
          .map(([, value]) => value)
      expect(new Set(of('REPLICATION_FACTOR'))).toEqual(new Set(['3']))
      expect(new Set([...of('MIN_ISR'), ...of('MIN_INSYNC_REPLICAS')])).toEqual(new Set(['2']))
    }
  })

  test('one broker alone asks for no second one', () => {
    const { environment = {} } = serviceOf('kafka')
    const alone = Object.entries(environment).filter(([name]) => /REPLICATION_FACTOR|MIN_ISR|MIN_INSYNC/.test(name))
    expect(alone.map(([, value]) => interpolate(String(value), {}))).toEqual(alone.map(() => '1'))
    expect(interpolate(String(environment.KAFKA_CONTROLLER_QUORUM_VOTERS), {})).toBe('1@127.0.0.1:9093')
  })
})
