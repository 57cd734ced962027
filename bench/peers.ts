/** Products to compare with, and what they and a stack run on, installed when a benchmark first needs them: nobody else has to have them. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { Submittable } from 'pg'

type Connection = { host: string; port: number; maxRetriesPerRequest: null }
type Job = { id?: string; data: unknown }

type Added = Job & { waitUntilFinished(events: object): Promise<unknown> }

/** As much of BullMQ as is used here. */
export type BullMq = {
  Queue: new (
    name: string,
    options: { connection: Connection },
  ) => {
    add(name: string, data: unknown, options?: object): Promise<Added>
    addBulk(jobs: readonly { name: string; data: unknown; opts?: object }[]): Promise<Added[]>
    setMaxListeners(count: number): void
    close(): Promise<void>
  }
  QueueEvents: new (
    name: string,
    options: { connection: Connection },
  ) => { waitUntilReady(): Promise<unknown>; setMaxListeners(count: number): void; close(): Promise<void> }
  Worker: new (
    name: string,
    work: (job: Job) => Promise<unknown>,
    options: { connection: Connection; concurrency?: number },
  ) => { close(): Promise<void> }
}

const folder = join(import.meta.dirname, 'peers')

/** `java` is Maven, too. */
export type SystemPart = 'java' | 'redis' | 'postgres'

/** From Debian, as far as they are missing. Throws when that needs more rights than there are. */
export function installSystem(parts: readonly SystemPart[]): void {
  execFileSync(join(import.meta.dirname, '../tests/stack/install.sh'), parts, {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

export const bullMq = (): Promise<BullMq> => peer<BullMq>('bullmq')

/** A query that is a stream into the table. */
type CopyFrom = (text: string) => Writable & Submittable

export const copyFrom = async (): Promise<CopyFrom> => (await peer<{ from: CopyFrom }>('pg-copy-streams')).from

async function peer<Module>(name: string): Promise<Module> {
  if (!existsSync(join(folder, 'node_modules', name))) {
    process.stderr.write('installing what is compared with\n')
    const words = ['install', '--prefix', folder, '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund']
    await promisify(execFile)('npm', words)
  }
  return createRequire(join(folder, 'package.json'))(name) as Module
}

export const redisAt = (url: string): Connection => {
  const { hostname: host, port } = new URL(url)
  return { host, port: Number(port), maxRetriesPerRequest: null }
}
