/** A Redis of a test's own, which can be stopped, killed and started again without disturbing others. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock, systemRandom } from '../../platform/clock.ts'
import type { RedisAddress } from '../../platform/redis/connection.ts'
import { openRedis, type RedisHealth, type RedisServer } from '../../platform/redis/redis.ts'
import { type RedisOptions, type RedisStack, startRedis } from '../stack/redis.ts'

/** Gone when the test has finished. */
export async function ownRedis(options: Omit<RedisOptions, 'dir'> = {}): Promise<RedisStack> {
  const dir = mkdtempSync(join(tmpdir(), 'pf3-redis-'))
  const redis = await startRedis({ dir, ...options })
  onTestFinished(async () => {
    redis.part().signal('SIGCONT')
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  return redis
}

export type Client = RedisServer & { changes: RedisHealth['state'][] }

/** One process's connection; closed when the test has finished. */
export function clientAt(address: RedisAddress): Client {
  const changes: RedisHealth['state'][] = []
  const server = openRedis({
    ...address,
    clock: systemClock,
    random: systemRandom,
    onChange: ({ state }) => void changes.push(state),
  })
  onTestFinished(() => server.close())
  return { ...server, changes }
}
