/** Redis from the system's packages, with its append-only file, on a free loopback port. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../machine/free-port.ts'
import { answering, isOpen, startPart } from './machine.ts'

export type RedisStack = { url: string; stop(): Promise<void> }

const startWaitMs = 20_000

export async function startRedis({ dir }: { dir: string }): Promise<RedisStack> {
  const home = join(dir, 'redis')
  mkdirSync(home, { recursive: true })
  const port = await freePort()
  const logFile = join(home, 'redis.log')
  const part = startPart({
    name: 'Redis (apt-get install redis-server)',
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--appendonly', 'yes', '--dir', home],
    cwd: home,
    logFile,
  })
  await answering(part, logFile, startWaitMs, () => isOpen(port))
  return { url: `redis://127.0.0.1:${port}`, stop: part.stop }
}
