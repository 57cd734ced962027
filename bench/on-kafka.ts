/** A service on a Kafka of its own, and a plain client of that Kafka: what is measured, and what it is measured against. */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as pathJoin } from 'node:path'
import { promisify } from 'node:util'
import type { Kafka } from 'kafkajs'
import { type ApiClient, apiClient } from '../bin/demo/api-client.ts'
import { cleanEnv, pf3Path, startServiceProcess } from '../bin/demo/service-process.ts'
import { kafkaClient } from '../platform/log/kafka/client.ts'
import { type Stack, startStack } from '../tests/stack/start-stack.ts'
import { benchTenant } from './work.ts'

export type OnKafka = {
  stack: Stack
  client: ApiClient
  /** May submit and read. */
  token: string
  /** kafkajs with the settings that PF-3 has found to be fast. */
  kafka: Kafka
  /** What the service is configured with. */
  env: Readonly<Record<string, string>>
  /** SIGKILL, then a new process. Resolves when it has said that it is ready. */
  crash(): Promise<void>
  /** The service ends in good order, and another one begins in its place that has these roles alone. */
  only(roles: string): Promise<void>
  /** Another process beside the first one; `leave` ends it in good order. */
  join(): Promise<{ leave(): Promise<unknown> }>
  setting: string
}

export async function makeTopics(kafka: Kafka, names: readonly string[], numPartitions: number): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions })), waitForLeaders: true })
  await admin.disconnect()
}

/** Six partitions, one process with all roles. Everything is ended and removed afterwards. */
export async function onKafka<Result>(
  { brokerCount, connectionsMax }: { brokerCount: 1 | 3; connectionsMax: number },
  run: (on: OnKafka) => Promise<Result>,
): Promise<Result> {
  const stack = await startStack({ brokerCount })
  const dir = await mkdtemp(pathJoin(tmpdir(), 'pf3-bench-'))
  try {
    const rootToken = `pf3_${randomBytes(32).toString('base64url')}`
    const env = {
      PF3_PROFILE: 'kafka',
      ...stack.environment,
      PF3_TOPIC_PREFIX: 'bench.',
      PF3_PARTITIONS: '6',
      // One tenant sends all there is.
      PF3_REQUESTS_PER_TENANT: '10000000',
      PF3_ROOT_TOKEN: rootToken,
      PF3_MASTER_KEY_FILE: pathJoin(dir, 'master.key'),
      PF3_DATA_DIR: pathJoin(dir, 'data'),
    }
    await promisify(execFile)(process.execPath, [pf3Path, 'topics', 'apply'], { env: cleanEnv(env) })
    const start = (roles?: string) =>
      startServiceProcess({ dataDir: env.PF3_DATA_DIR, port: 0, rootToken, env, ...(roles !== undefined && { roles }) })
    let service = await start()
    const crash = async () => {
      await service.kill()
      service = await start()
    }
    const only = async (roles: string) => {
      await service.stop()
      service = await start(roles)
    }
    let joined = 0
    const join = async () => {
      const dataDir = pathJoin(dir, `data-${++joined}`)
      const other = await startServiceProcess({ dataDir, port: 0, rootToken, env: { ...env, PF3_DATA_DIR: dataDir } })
      return { leave: other.stop }
    }
    const client = apiClient(() => service.url, connectionsMax)
    try {
      const token = await benchTenant(client, rootToken)
      const brokers = stack.environment.PF3_KAFKA_BROKERS.split(',')
      const setting = `Kafka 4.1 with ${brokerCount === 1 ? 'one broker' : 'three brokers (replication 3, two in sync)'}, registry, PostgreSQL 15 and Redis on the same machine, one PF-3 process with all roles, 6 partitions`
      return await run({ stack, client, token, kafka: kafkaClient({ brokers }), env, crash, only, join, setting })
    } finally {
      client.close()
      await service.stop()
    }
  } finally {
    await stack.stop()
    await rm(dir, { recursive: true, force: true })
  }
}
