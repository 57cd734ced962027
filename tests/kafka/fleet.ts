/** Several PF-3 processes as one installation on the stack of the run: own topics, own database, one client before all. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { type ApiClient, apiClient } from '../../bin/demo/api-client.ts'
import { cleanEnv, pf3Path, type ServiceProcess, startServiceProcess } from '../../bin/demo/service-process.ts'
import { type Actors, actors } from '../e2e/stage.ts'
import { type Door, startDoor, through } from '../machine/door.ts'
import { freshDatabase } from '../postgres/fresh-database.ts'

export type Member = {
  name: string
  service(): ServiceProcess
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
  /** A new process on the same data directory and port; resolves when it is ready. */
  start(): Promise<void>
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  roles: string
  /** Partitions it serves, from its /metrics; none when it does not answer. */
  serves(): Promise<number[]>
  /** One of its figures, by partition; none when it does not answer. */
  figure(name: string): Promise<Map<number, number>>
}

export type Fleet = Actors & {
  members: readonly Member[]
  /** Asks one member after another; those that are away are left out. */
  client: ApiClient
  rootToken: string
  /** Configures anything that looks at this installation from outside. */
  env: Readonly<Record<string, string>>
  doors: Doors
  /** Resolves with how long it took, in milliseconds, until every partition is served by one that is up. */
  untilServed(): Promise<number>
}

/** What stands between the processes and a part of the stack; shut, that part is away for all of them. */
export type Doors = { registry: Door; postgres: Door; redis: Door }

export type FleetOptions = {
  /** Roles of each; there is one with `api` and one with `owner`. */
  members: readonly string[]
  partitionCount: number
  connectionsMax: number
  env?: Readonly<Record<string, string>>
  /** Options that they are started without. */
  without?: readonly string[]
  /** Instead of the brokers of the run. */
  brokers?: string
}

const servedMsMax = 180_000
const run = promisify(execFile)

const needed = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set. Run these tests with: npm run test:kafka`)
  return value
}

/** Everything is ended and removed when the test is over, but topics stay: the stack of a run goes as a whole. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { partitionCount, connectionsMax } = options
  const dir = await mkdtemp(join(tmpdir(), 'pf3-fleet-'))
  const database = await freshDatabase()
  const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
  const registryUrl = needed('PF3_TEST_REGISTRY_URL')
  const redisUrl = needed('PF3_TEST_REDIS_URL')
  const doors: Doors = {
    registry: await startDoor(registryUrl),
    postgres: await startDoor(database.url, 5432),
    redis: await startDoor(redisUrl, 6379),
  }
  const given: Record<string, string> = {
    PF3_PROFILE: 'kafka',
    PF3_KAFKA_BROKERS: options.brokers ?? needed('PF3_TEST_KAFKA_BROKERS'),
    PF3_REGISTRY_URL: through(registryUrl, doors.registry),
    PF3_POSTGRES_URL: through(database.url, doors.postgres),
    PF3_REDIS_URL: through(redisUrl, doors.redis),
    PF3_TOPIC_PREFIX: `fleet-${randomBytes(4).toString('hex')}.`,
    PF3_PARTITIONS: String(partitionCount),
    PF3_MASTER_KEY_FILE: join(dir, 'master.key'),
    PF3_ROOT_TOKEN: rootToken,
    PF3_DATA_DIR: join(dir, 'outside'),
    ...options.env,
  }
  const env = Object.fromEntries(Object.entries(given).filter(([name]) => !options.without?.includes(name)))
  await run(process.execPath, [pf3Path, 'topics', 'apply'], { env: cleanEnv(env) })

  const members: Member[] = []
  const isUp = new Set<Member>()
  let turn = 0
  const client = apiClient(() => {
    const up = [...isUp].filter(({ roles }) => roles.includes('api'))
    turn += 1
    return (up[turn % up.length] ?? members[0])?.service().url ?? ''
  }, connectionsMax)

  onTestFinished(async () => {
    client.close()
    for (const member of members) member.signal('SIGCONT')
    await Promise.all(members.map((member) => (member.service().hasEnded() ? undefined : member.stop())))
    await Promise.all(Object.values(doors).map((door) => door.shut()))
    await database.drop()
    await rm(dir, { recursive: true, force: true })
  })

  async function newMember(roles: string, index: number): Promise<Member> {
    const dataDir = join(dir, `member-${index}`)
    const begin = (port: number) =>
      startServiceProcess({ dataDir, port, rootToken, env: { ...env, PF3_DATA_DIR: dataDir }, roles })
    let service = await begin(0)
    const port = Number(new URL(service.url).port)
    const own = apiClient(() => service.url, 4)
    onTestFinished(() => own.close())
    const member: Member = {
      name: `member ${index} (${roles})`,
      roles,
      service: () => service,
      async kill() {
        isUp.delete(member)
        await service.kill()
      },
      stop() {
        isUp.delete(member)
        return service.stop()
      },
      async start() {
        service = await begin(port)
        isUp.add(member)
      },
      signal(signal) {
        if (signal === 'SIGSTOP') isUp.delete(member)
        else isUp.add(member)
        if (!service.hasEnded()) process.kill(service.pid, signal)
      },
      async serves() {
        return [...(await member.figure('pf3_owner_serving'))].flatMap(([partition, one]) =>
          one === 1 ? [partition] : [],
        )
      },
      async figure(name) {
        const reply = await own.ask('', { method: 'GET', path: '/metrics' }).catch(() => undefined)
        const rows = String(reply?.body ?? '').matchAll(new RegExp(`^${name}\\{partition="(\\d+)"\\} (\\d+)$`, 'gm'))
        return new Map([...rows].map(([, partition, value]) => [Number(partition), Number(value)]))
      },
    }
    members.push(member)
    isUp.add(member)
    return member
  }

  for (const [index, roles] of options.members.entries()) await newMember(roles, index)
  return {
    ...actors(client, rootToken),
    members,
    client,
    rootToken,
    env,
    doors,
    async untilServed() {
      const since = performance.now()
      for (;;) {
        const served = await Promise.all([...isUp].map((member) => member.serves()))
        if (new Set(served.flat()).size === partitionCount) return performance.now() - since
        if (performance.now() - since > servedMsMax)
          throw new Error(`Not every partition was served within ${servedMsMax} ms: ${JSON.stringify(served)}`)
        await sleep(20)
      }
    },
  }
}

/** For a fleet that is hurt while a moody provider answers: it tries again soon and often, and keeps snapshots to begin from. */
export const troubled = (providerUrl: string): Record<string, string> => ({
  PF3_LOCAL_THREADS: '1',
  PF3_SCRIPTED_URL: providerUrl,
  PF3_SNAPSHOT_EVERY_FACTS: '500',
  PF3_RETRY_BASE_MS: '5',
  PF3_ATTEMPTS_MAX: '20',
  PF3_SHUTDOWN_WAIT_MS: '5000',
})
